"""Secrets of one replica: made at random on first use, one file each, never in Git."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

_BYTES = 24


def obtain(folder: Path, name: str) -> str:
    """The secret kept in `folder/name` (0600 in a 0700 folder), made now if there is none. Safe to call in parallel."""
    path = folder / name
    if not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place_once(path, secrets.token_urlsafe(_BYTES).encode())
    return path.read_text().strip()


def place_once(path: Path, content: bytes) -> None:
    """Put *content* at *path* with mode 0600 unless something is there; whole or not at all, the first writer wins."""
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # A hard link, not a rename: it fails where another thread or process was first.
        os.link(beside, path)
    except FileExistsError:
        pass
    finally:
        Path(beside).unlink()
