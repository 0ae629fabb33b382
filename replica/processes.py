"""Which processes are this replica's own, and what may be done to them: always by pid, never by name."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

#: Set for the supervisor and so inherited by everything below it: whatever carries it is the replica's own.
TAG = "STEWARD_REPLICA_OF"
#: Set by the supervisor for each of its programs.
_PROGRAM = "SUPERVISOR_PROCESS_NAME"


def own(state: Path) -> Iterator[tuple[psutil.Process, str]]:
    """(process, server's name) of every live process that carries the tag of *state*; the supervisor's name is ""."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            variables = process.environ()
            if variables.get(TAG) == str(state) and process.status() != psutil.STATUS_ZOMBIE:
                yield process, variables.get(_PROGRAM, "")


def is_own(pid: int, state: Path) -> bool:
    """Whether *pid* is a process of the replica at *state*."""
    with contextlib.suppress(psutil.Error, OSError):
        return psutil.Process(pid).environ().get(TAG) == str(state)
    return False


def tree(pid: int) -> list[psutil.Process]:
    """The process *pid* and all below it, children last; empty if it is gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def memory_bytes(pid: int) -> int:
    """Resident memory of the whole tree. Pages shared between its processes count once for each of them."""
    total = 0
    for process in tree(pid):
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def is_frozen(pid: int) -> bool:
    """Whether the process is stopped (SIGSTOP)."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    return False


def limit_file_size(pid: int, limit_bytes: int | None) -> list[int]:
    """Set the soft RLIMIT_FSIZE of the whole tree, None for as much as its hard limit lets: the pids changed."""
    changed: list[int] = []
    for process in tree(pid):
        # It may end between any two looks: its file is then not there, or cannot be read any more.
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            soft, hard = _file_size_limits(process.pid)
            wanted = hard if limit_bytes is None else str(limit_bytes)
            if wanted != soft:
                _set_file_size_limit(process, wanted)
                changed.append(process.pid)
    return changed


def _file_size_limits(pid: int) -> tuple[str, str]:
    """(soft, hard) in bytes or "unlimited", from a file that every user may read."""
    for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith("Max file size"):
            return line.split()[3], line.split()[4]
    raise LookupError(f"/proc/{pid}/limits has no line of the file size")


def _set_file_size_limit(process: psutil.Process, soft: str) -> None:
    """As the process's own user: root in a container may lack the right to limit another user's process."""
    command = ["prlimit", f"--pid={process.pid}", f"--fsize={soft}:"]
    if os.geteuid() == 0:
        subprocess.run(command, check=True, user=process.uids().real, group=process.gids().real, extra_groups=[])
    else:
        subprocess.run(command, check=True)


def send(processes: Iterable[psutil.Process], number: signal.Signals) -> list[int]:
    """Signal each process that still lives: the pids reached. psutil guards against a pid that was given out anew."""
    reached: list[int] = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
            reached.append(process.pid)
    return reached


def end(processes: list[psutil.Process], *, patience_seconds: float = 10) -> None:
    """SIGTERM (frozen ones are woken for it), then SIGKILL for what is still there."""
    send(processes, signal.SIGTERM)
    send(processes, signal.SIGCONT)
    _, alive = psutil.wait_procs(processes, timeout=patience_seconds)
    send(alive, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=patience_seconds)


def end_leftovers(state: Path, server: str | None = None) -> list[int]:
    """End what outlived its supervisor or its server: all of the replica's, or those of *server*. The pids ended."""
    mine = {process.pid for process in (psutil.Process(), *psutil.Process().parents())}
    found = [process for process, name in own(state) if process.pid not in mine and (server is None or name == server)]
    end(found)
    return [process.pid for process in found]
