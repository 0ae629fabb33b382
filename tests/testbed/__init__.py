"""What the platform is tried on, tried itself: the replica's servers, which stand in for production's, and the demo.

`make test-testbed` runs it, and `.ci/run`; `make test` does not, for what it promises is needed by whoever changes it.
"""
