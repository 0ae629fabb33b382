"""What the platform is tried on, tried itself: the replica's servers, which stand in for production's, and the demo.

`make test-testbed` runs it, and `.ci/run`, so that what breaks here does not land. `make test` goes without, and ends sooner.
"""
