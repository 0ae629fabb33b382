"""A run of a flow on the replica's worker, which dies where the drill says: `python -m tests.drills.costs.child`.

The folder that STEWARD_DRILL_DEATHS names holds a file a death; a run takes one, and no other run the same.
"""

import contextlib
import json
import os
import runpy
from pathlib import Path

from tests.flows.killed_runs import Death, plant


def taken(folder):
    """The next death, or None: this run lives."""
    for file in sorted(folder.glob("*.json")):
        with contextlib.suppress(FileNotFoundError):
            return Death(**json.loads(file.rename(file.with_suffix(".taken")).read_text()))
    return None


if __name__ == "__main__":
    if death := taken(Path(os.environ["STEWARD_DRILL_DEATHS"])):
        plant(death)
    runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True)
