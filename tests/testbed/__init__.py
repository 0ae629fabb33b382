"""What the platform is tried on, tried itself: the replica's servers, which stand in for production's, and the demo.

`make test-testbed` runs it, and `.ci/run`. `make test` does not: nothing here breaks but by a change of the replica or the demo.
"""
