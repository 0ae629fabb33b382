"""The file that HAProxy begins with (`server-state-file`), as the runtime API tells it (`show servers state`)."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

_ALONE_SECONDS = 2.0
_LOOK_SECONDS = 0.02
# Another writer can come between at most as often as somebody changes something.
_TRIES = 10
# Columns of a line: backend, server, state, weight. The others tell of health and time.
_LASTING = (1, 3, 6, 7)


@contextmanager
def alone(path: Path) -> Generator[None]:
    """One writer of *path* at a time on this host; but whoever is stopped while it writes keeps no other for ever."""
    deadline = time.monotonic() + _ALONE_SECONDS
    with path.with_name(f"{path.name}.lock").open("w") as file:
        while not _locked(file.fileno()) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        yield


def keep(path: Path, ask: Callable[[], str]) -> None:
    """Write what *ask* tells, again where it has changed meanwhile: a writer that slept has written what no longer holds."""
    told = ask()
    for _ in range(_TRIES):
        _replace(path, told)
        now = ask()
        if _lasting(now) == _lasting(told):
            return
        told = now


def _lasting(state: str) -> list[list[str]]:
    rows = (line.split() for line in state.splitlines())
    return [[row[column] for column in _LASTING] for row in rows if len(row) > max(_LASTING)]


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _replace(path: Path, text: str) -> None:
    """Whole or not at all, also over a loss of power: half a file HAProxy ignores, and then serves with every server."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".state-")
    beside = Path(name)
    try:
        with os.fdopen(descriptor, "w") as file:
            # Whatever user HAProxy runs as reads it; it holds no secret.
            os.fchmod(file.fileno(), 0o644)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
