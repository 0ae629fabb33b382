"""A bar for people who wait, no oftener than they can read: each change of it is a request to Prefect's server."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

EVERY_SECONDS = 2.0


def progress_bar(key: str, description: str) -> Callable[[int, int], None]:
    """A new bar; call it with how much is done, of how much. It is full when that is all."""
    # The union is Prefect's: called outside a coroutine it answers at once.
    bar = cast("UUID", create_progress_artifact(0.0, key=key, description=description))
    shown = time.monotonic()

    def show(done: int, of: int) -> None:
        nonlocal shown
        if done >= of or time.monotonic() - shown >= EVERY_SECONDS:
            shown = time.monotonic()
            update_progress_artifact(artifact_id=bar, progress=100 * done / max(of, 1))

    return show
