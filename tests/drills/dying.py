"""A night whose process is killed at a chosen step: `python -m tests.drills.dying STEP WHEN NIGHT POLICY`.

WHEN is `before`, `after`, or milliseconds into the step. SIGKILL: no handler runs, nothing is flushed or closed.
"""

import os
import signal
import sys
import threading
from datetime import date

import flows.nightly_snapshot as night_flow
from steward.snapshots.policy import SnapshotPolicy


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def doomed(step, when):
    def run(*args, **kwargs):
        if when == "before":
            die()
        if when != "after":
            threading.Timer(int(when) / 1000, die).start()
        result = step(*args, **kwargs)
        die()
        return result

    run.fn = step.fn  # what the ledger has recorded of it is asked by its name
    return run


if __name__ == "__main__":
    name, when, night, policy = sys.argv[1:]
    setattr(night_flow, name, doomed(getattr(night_flow, name), when))
    night_flow.nightly_snapshot(SnapshotPolicy.model_validate_json(policy), date.fromisoformat(night))
