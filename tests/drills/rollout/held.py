"""The flow as the drill deploys it: its process stops where the drill says, until it is let go or killed.

`STEWARD_DRILL_GATE` names a folder: `gate.json` says where, `held` is made by whoever stops there first and holds its pid,
`released` lets it go on.
"""

import json
import os
import time
from pathlib import Path

import tasks.rollout_proving as proving
from flows.production_rollout import production_rollout
from steward.operations import steps

__all__ = ["production_rollout"]

#: None in the worker, which imports the flow to see what it is to do about one that crashed.
_FOLDER = Path(told) if (told := os.environ.get("STEWARD_DRILL_GATE")) else None
_LOOK = 2
_looks = {}


def _pass(*place):
    if json.loads((_FOLDER / "gate.json").read_text()) != list(place):
        return
    mine = _FOLDER / f"held-{os.getpid()}"
    mine.write_text(str(os.getpid()))
    try:
        # Whole from the first moment, and by the first alone: another attempt passes.
        os.link(mine, _FOLDER / "held")
    except FileExistsError:
        return
    while not (_FOLDER / "released").exists():
        time.sleep(0.01)


def _plant():
    act, record, judge = steps._act, steps._record, proving.judge

    def acting(held, at, row):
        _pass("before", at.name, at.key)
        return act(held, at, row)

    def recording(held, where, state, **values):
        if state == "done":
            _pass("after", where["name"], where["key"])
        return record(held, where, state, **values)

    def judging(reading, *rest):
        at = ("bake", "") if reading.baking else ("prove", str(reading.step))
        _looks[at] = _looks.get(at, 0) + 1
        if _looks[at] == _LOOK:
            _pass("look", *at)
        return judge(reading, *rest)

    steps._act, steps._record, proving.judge = acting, recording, judging


if _FOLDER:
    _plant()
