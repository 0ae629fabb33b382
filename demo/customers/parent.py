"""Processes that end when whoever started them is gone: killed, it could not end them."""

from __future__ import annotations

import os
import signal
import time
from threading import Thread

_VARIABLE = "CUSTOMERS_PARENT"
_LOOK_SECONDS = 0.5


def as_parent() -> dict[str, str]:
    """For the environment of a child that calls `end_with_parent`."""
    return {_VARIABLE: str(os.getpid())}


def end_with_parent() -> None:
    """From now on; where no parent was named, nothing happens."""
    if named := os.environ.get(_VARIABLE):
        Thread(target=_follow, args=(int(named),), name="parent", daemon=True).start()


def _follow(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
