"""A server's last words, read for causes that a person can mend."""

from __future__ import annotations

import re
from pathlib import Path

_TAIL_BYTES = 16_384
_SHOWN_LINES = 6

_CAUSES: tuple[tuple[str, str], ...] = (
    (
        r"error while loading shared libraries: (\S+?):",
        "the shared library {0} is missing: install the package that holds it (apt-file search {0})",
    ),
    (r"(lib\S+\.so\S*): cannot open shared object file", "the shared library {0} is missing: install its package"),
    (r"[Nn]o space left on device|disk usage exceeded flood-stage", "the disk is full: free some space (df -h)"),
    (r"[Aa]ddress already in use|BindException|already in use", "a port is taken: python -m replica up --new-ports"),
    (
        r"Cannot allocate memory|OutOfMemoryError|std::bad_alloc",
        "memory ran out: free some, or start fewer with --only",
    ),
    (r"[Pp]ermission denied", "a file is closed to the server's user: check the state folder's owner and mode"),
)


def since(log: Path, start: int) -> str:
    """What *log* holds from byte *start* on, at most its last 16 KiB; all of it where it was rotated meanwhile."""
    if not log.exists():
        return ""
    size = log.stat().st_size
    with log.open("rb") as file:
        file.seek(max(start if start <= size else 0, size - _TAIL_BYTES))
        return file.read().decode(errors="replace")


def last_words(text: str) -> str:
    """The last lines that say something, joined for a message."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-_SHOWN_LINES:]) or "it said nothing"


def cause(text: str) -> str:
    """What to do about the newest known cause in *text*, or "" where none is known."""
    found = [
        (match.start(), advice.format(*match.groups()))
        for pattern, advice in _CAUSES
        for match in re.finditer(pattern, text)
    ]
    return max(found)[1] if found else ""
