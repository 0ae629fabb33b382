"""What the watch's tests let run and die: one step to remember, one to be held at."""

import time
from pathlib import Path

from prefect import flow

from steward.operations.claims import Terms
from tasks.durable import durable, operation, step


@flow(name="watched", persist_result=False)
@durable(subject="{name}", period=lambda **_: "once", terms=Terms(max_attempts=3))
def watched(name: str, gate: str = "") -> int:
    """The attempt that brought it to its end."""
    remember(name)
    hold(gate)
    return operation().attempt


@step("remember {name}")
def remember(name: str) -> str:
    return name


@step("hold")
def hold(gate: str) -> None:
    while gate and not Path(gate).exists():
        time.sleep(0.1)
