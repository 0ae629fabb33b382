"""A process's memory at one moment, in a file: what an operator's core dump, or the machine's swap, would hold."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterator
from pathlib import Path

_BLOCK, _PAGE = 1 << 20, 4096
_NOTHING = bytes(_PAGE)


def dump(path: Path) -> None:
    """Write this process's writable memory to *path*, 0600.

    Of a child that stands still since its fork, so that what reads it is not in it.
    """
    child = _fork()
    if child == 0:
        while True:
            signal.pause()
    try:
        descriptor = os.open(path.with_suffix(".part"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as target, Path(f"/proc/{child}/mem").open("rb", buffering=0) as memory:
            for begin, end in _writable(child):
                for at in range(begin, end, _BLOCK):
                    # Pages that nobody has touched, and those of devices, cannot be read.
                    with contextlib.suppress(OSError):
                        target.write(_used(os.pread(memory.fileno(), min(_BLOCK, end - at), at)))
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    # Whoever waits for it finds it whole.
    path.with_suffix(".part").rename(path)


def _used(block: bytes) -> bytes:
    """Without pages of zeros: nobody has written there, and they are half of it."""
    pages = (block[at : at + _PAGE] for at in range(0, len(block), _PAGE))
    return b"".join(page for page in pages if page != _NOTHING)


def _fork() -> int:
    # Not Python's: what follows the keyring would begin anew in the child, as another reader that never says farewell.
    # By PyDLL, which keeps the interpreter's lock, so that the child has it.
    return ctypes.PyDLL(None).fork()


def _writable(process: int) -> Iterator[tuple[int, int]]:
    for line in Path(f"/proc/{process}/maps").read_text().splitlines():
        span, rights, *_ = line.split()
        if rights.startswith("rw"):
            begin, end = span.split("-")
            yield int(begin, 16), int(end, 16)
