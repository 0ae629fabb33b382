"""An Elasticsearch snapshot repository as it lies on disk or in a bucket: its format, and what a snapshot needs of it."""
