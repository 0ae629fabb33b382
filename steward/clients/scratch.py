"""Folders for files on their way to a server or from it: gone when their block ends, also after a process that was killed.

A folder is locked by whoever works in it (flock, which the kernel takes back from the dead); whoever makes the next one of
its kind removes those that nobody holds. What lies on a machine where nothing of the kind runs any more stays there.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def scratch_folder(kind: str) -> Generator[Path]:
    """A new, empty one of this process's alone; *kind* is part of its name."""
    prefix = f"steward-{kind}-"
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        _remove_if_abandoned(left)
    folder, descriptor = _held(prefix)
    try:
        yield folder
    finally:
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)
        os.close(descriptor)


def _held(prefix: str) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix))
        with suppress(FileNotFoundError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Before it was locked it looked abandoned.
            if folder.exists():
                return folder, descriptor
            os.close(descriptor)


def _remove_if_abandoned(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        # Somebody else's, or just gone.
        return
    try:
        # Refused: somebody works in it.
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)
