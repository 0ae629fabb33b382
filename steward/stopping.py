"""How a task of the event loop is ended for good."""

from __future__ import annotations

import asyncio
from contextlib import suppress

_AGAIN_SECONDS = 0.2


async def stop(task: asyncio.Task[None]) -> None:
    """End *task*, and return when it has ended: what it uses can be closed then. Raises what it ended with.

    Until Python 3.12 `asyncio.wait_for`, on which database and Redis clients wait, swallows a cancellation that comes
    together with what it waited for (CPython 86296). So it is said again until it is heard.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_AGAIN_SECONDS)
    with suppress(asyncio.CancelledError):
        task.result()
