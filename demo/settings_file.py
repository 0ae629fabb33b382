"""The settings of a replica, other for a while: flows read them as each begins; the next `up` of the replica writes them anew."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def other_for_a_while(path: Path, text: str) -> Generator[None]:
    """*text* in *path* until the block ends."""
    before = path.read_text()
    _replace(path, text)
    try:
        yield
    finally:
        _replace(path, before)


def _replace(path: Path, text: str) -> None:
    # Whole at every moment: flows and servers may be reading it.
    beside = path.with_name(f".new-{path.name}-{os.getpid()}")
    beside.touch(mode=0o600)
    beside.write_text(text)
    beside.replace(path)
