"""A command of somebody else's: in a clean environment, under limits, for a time, and nothing of it left when it is done."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from steward.pipeline.stage import TAIL_CHARACTERS, printable

#: Of its output the last so much is kept; a program that writes without end costs no more memory.
MOST_BYTES = 1024 * 1024
#: What a process of a build may use, beside its time. Processes are counted over all of the user's.
LARGEST_FILE_BYTES, MOST_PROCESSES, MOST_FILES = 4 * 1024**3, 4096, 4096
#: Where programs are looked for: the worker's own Python first, for it has what the pipeline needs.
PATH = os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"])
_GUARD = Path(__file__).with_name("command_guard.py")
_GONE = "***"
#: The guard kills and leaves; one that does not is killed itself.
_LEAVING_SECONDS = 10.0
_PIECE = 65_536
#: A shorter word would strike out half of every output, and is no secret.
_SHORTEST_SECRET = 4

End = Literal["exited", "signalled", "timed_out", "missing"]


@dataclass(frozen=True)
class Ran:
    """How a command ended. `code`: its exit code, or the signal's number; None where there is neither."""

    command: tuple[str, ...]
    end: End
    code: int | None
    seconds: float
    output: str
    """The last MOST_BYTES of what it wrote to either stream; secrets struck out."""

    @property
    def is_green(self) -> bool:
        return self.end == "exited" and self.code == 0

    @property
    def tail(self) -> str:
        """The last lines, for people."""
        return printable(self.output)[-TAIL_CHARACTERS:]

    @property
    def how(self) -> str:
        """How it ended, in words."""
        program = self.command[0]
        match self.end:
            case "exited":
                return f"{program} ended with {self.code} after {self.seconds:.1f} s"
            case "signalled":
                return f"{program} was ended by signal {self.code} after {self.seconds:.1f} s"
            case "timed_out":
                return f"{program} was not done in {self.seconds:.0f} s and was ended"
            case "missing":
                return f"there is no program {program}"


def clean_environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """All that a command is told: nothing of the worker's own environment, which holds where its secrets are."""
    temporary = home / "tmp"
    temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
    told = {
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "PATH": PATH,
        "LANG": "C.UTF-8",
        "CI": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
    }
    return told | dict(more or {})


def run_command(
    command: Sequence[str], folder: Path, *, seconds: float, environment: Mapping[str, str], struck: Iterable[str]
) -> Ran:
    """*command* in *folder*, told *environment* and nothing else; each of *struck* is struck out of what it says.

    Not done in *seconds*, it is ended. However it ends, and also where this process is killed meanwhile, so are all
    processes that it started, those in groups and sessions of their own included (Linux).
    """
    program = shutil.which(command[0], path=environment.get("PATH", PATH)) if "/" not in command[0] else None
    if "/" in command[0] and os.access(folder / command[0], os.X_OK):
        program = str(folder / command[0])
    if program is None:
        return Ran(tuple(command), "missing", None, 0.0, "")
    began = time.monotonic()
    limits = json.dumps(_limits(seconds))
    with subprocess.Popen(
        [sys.executable, "-I", str(_GUARD), limits, program, *command[1:]],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as guard:
        assert guard.stdin  # noqa: S101  it is a pipe
        assert guard.stdout  # noqa: S101
        tail = _Tail(guard.stdout)
        try:
            code = guard.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(guard)
            tail.thread.join(_LEAVING_SECONDS)
    took = time.monotonic() - began
    output = strike_out(tail.text(), struck)
    if code is None:
        return Ran(tuple(command), "timed_out", None, took, output)
    return Ran(tuple(command), "exited" if code >= 0 else "signalled", abs(code), took, output)


def remove_tree(folder: Path) -> None:
    """All of it, folders that a command has made unwritable too; one that is not there stays away."""
    for path, folders, _ in os.walk(folder):
        for each in (path, *(os.path.join(path, name) for name in folders)):  # noqa: PTH118  as os.walk tells it
            # What a link leads to is somebody else's.
            if not os.path.islink(each):  # noqa: PTH114
                with contextlib.suppress(OSError):
                    os.chmod(each, 0o700)  # noqa: PTH101
    shutil.rmtree(folder, ignore_errors=True)


def _limits(seconds: float) -> dict[str, int]:
    return {
        # Of one process; a parallel one may use more than a second of it in a second.
        "RLIMIT_CPU": int(seconds * (os.cpu_count() or 1)) + 10,
        "RLIMIT_FSIZE": LARGEST_FILE_BYTES,
        "RLIMIT_NPROC": MOST_PROCESSES,
        "RLIMIT_NOFILE": MOST_FILES,
        "RLIMIT_CORE": 0,
    }


def _end(guard: subprocess.Popen[bytes]) -> None:
    """By closing its standard input: then it ends all that it has started."""
    assert guard.stdin  # noqa: S101
    with contextlib.suppress(BrokenPipeError):
        guard.stdin.close()
    try:
        guard.wait(_LEAVING_SECONDS)
    except subprocess.TimeoutExpired:
        guard.kill()


class _Tail:
    """The last of a stream, read while it is written."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._pieces, self._length, self._is_cut = stream, deque[bytes](), 0, False
        self.thread = threading.Thread(target=self._read, name="command output", daemon=True)
        self.thread.start()

    def _read(self) -> None:
        # Closed under it where somebody outlived the guard and holds the other end.
        with contextlib.suppress(ValueError, OSError):
            while piece := os.read(self._stream.fileno(), _PIECE):
                self._pieces.append(piece)
                self._length += len(piece)
                while self._length - len(self._pieces[0]) > MOST_BYTES:
                    self._length -= len(self._pieces.popleft())
                    self._is_cut = True

    def text(self) -> str:
        kept = b"".join(list(self._pieces))
        if self._is_cut or len(kept) > MOST_BYTES:
            # A line cut in half may begin within a secret, which is then not known by what is left of it.
            kept = kept[-MOST_BYTES:].partition(b"\n")[2]
        return kept.decode(errors="replace")


def strike_out(text: str, secrets: Iterable[str]) -> str:
    """*text* without any of *secrets*."""
    # The longest first: what holds another is gone as a whole.
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, _GONE)
    return text
