"""Run as a program: starts a command under limits, and ends it with all that it started once standard input is closed.

Whoever asked for the command holds the other end of standard input; the system closes it when that process dies, however it
dies. Nothing but the standard library, and nothing of this project: it begins in a few milliseconds.

    python -I command_guard.py LIMITS PROGRAM ARGUMENT...      LIMITS: {"RLIMIT_CPU": 60, …} as JSON
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
import threading
from pathlib import Path

#: <linux/prctl.h>
_PR_SET_CHILD_SUBREAPER, _PR_SET_PDEATHSIG = 36, 1
_IS_LINUX = sys.platform == "linux"
#: Of the thread that began this process; kernels since 4.2.
_CHILDREN = Path("/proc/thread-self/children")


def main(limits: dict[str, int], command: list[str]) -> int:
    """The command's own exit code; a negative one where a signal ended it."""
    # What loses its parent becomes this process's child, whatever group or session it has moved to.
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    child = os.fork()
    if child == 0:
        _become(limits, command)
    with contextlib.suppress(OSError):
        # As the child does itself: whoever comes first, its group is there before it is ended.
        os.setpgid(child, child)
    threading.Thread(target=_end_with_asker, args=[child], daemon=True).start()
    try:
        _, status = os.waitpid(child, 0)
    except ChildProcessError:
        # Ended because nobody asks any more: the thread leaves.
        signal.pause()
        raise
    _end_all(child)
    return os.waitstatus_to_exitcode(status)


def _become(limits: dict[str, int], command: list[str]) -> None:
    try:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setpgid(0, 0)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for name, value in limits.items():
            _limit(getattr(resource, name), value)
        os.execvpe(command[0], command, os.environ)  # noqa: S606  what this is for
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.stderr.flush()
    finally:
        os._exit(127 if not os.path.exists(command[0]) else 126)  # noqa: PTH110  no more than needed after a fork


def _limit(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    least = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (least, least))


def _end_with_asker(child: int) -> None:
    while os.read(0, 4096):
        pass
    _end_all(child)
    os._exit(125)


def _end_all(child: int) -> None:
    """Children, and whatever they leave behind, until there is nobody."""
    if not _CHILDREN.exists():
        # A system that does not tell: the command's own group, and no session that has left it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
        return
    while children := _children():
        for each in children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(each, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, 0)


def _children() -> list[int]:
    found: list[int] = []
    for task in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, task.read_text().split())
    return found


def _prctl(option: int, value: int) -> None:
    if _IS_LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    code = main(json.loads(sys.argv[1]), sys.argv[2:])
    if code < 0:
        # As the command ended, so that whoever asked is told the same.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(-code, signal.SIG_DFL) if -code not in {signal.SIGKILL, signal.SIGSTOP} else None
        os.kill(os.getpid(), -code)
    sys.exit(code)
