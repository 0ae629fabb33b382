"""A disk that is full, for one server only: the kernel's limit on the size of the files that its processes write."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path

from replica import processes
from replica.errors import ForeignTarget
from replica.faults.model import Fault, pid_of, server_named, undo_command


def fill(state: Path, target: str, *, limit_bytes: int = 0) -> Fault:
    """No file of *target* can grow beyond *limit_bytes* (RLIMIT_FSIZE): writes there fail with EFBIG, not ENOSPC.

    Pipes and sockets go on. PostgreSQL ends, as on a full disk, where it cannot write its log: leave it 17 MB to see
    single statements fail instead. Refused for a server that would be ended by the limit instead of meeting it.
    """
    if not target.isdigit() and not server_named(target).meets_limits:
        raise ForeignTarget(f"{target} ends at a file size limit instead of meeting it; nothing was touched")
    pids = processes.limit_file_size(pid_of(state, target), limit_bytes)
    return Fault("fill", target, {"pids": pids, "limit_bytes": limit_bytes}, undo_command(state, "heal", target))


def drain(state: Path, target: str) -> None:
    """Take the limit back; harmless where there is none."""
    processes.limit_file_size(pid_of(state, target), None)


@contextlib.contextmanager
def filled(state: Path, target: str, *, limit_bytes: int = 0) -> Generator[Fault]:
    """*target*'s disk full for as long as the block runs."""
    fault = fill(state, target, limit_bytes=limit_bytes)
    try:
        yield fault
    finally:
        drain(state, target)
