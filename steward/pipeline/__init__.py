"""What a release must prove before it goes out, and what each proof found: plans and decisions, free of servers and programs.

`manifest` is a repository's own word on how it is built and tested, `stage` what one stage found, `report` what all of them
come to. docs/pipeline.md tells it as a whole.
"""
