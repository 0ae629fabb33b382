"""Waiting for something that a step looks at from time to time."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL_SECONDS = 1.0


def waited(happened: Callable[[], bool], seconds: float) -> bool:
    """Whether it happened within *seconds*; it is asked once at least."""
    give_up = time.monotonic() + seconds
    while not (has := happened()) and time.monotonic() < give_up:
        time.sleep(min(POLL_SECONDS, max(0.0, give_up - time.monotonic())))
    return has
