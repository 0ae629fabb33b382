"""Real Elasticsearch nodes from published jars: no Docker, no tarball, no system Java.

`jars.lock` names every jar with its SHA-256; `home` lays them out; `archive` makes starts fast; `node` runs one node in
this process's JVM; `configuration` writes what a node reads.
"""
