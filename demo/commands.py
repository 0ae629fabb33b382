"""The programs that the demo runs as an operator would: what they print goes to a file, and is shown if they fail."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from steward.errors import StewardError

#: Lines of a failed program's output that are shown.
TAIL = 15


class CommandFailed(StewardError):
    """A program ended with an error."""

    def __init__(self, command: Sequence[str], code: int, log: Path) -> None:
        last = log.read_text(errors="replace").splitlines()[-TAIL:]
        super().__init__(
            "\n".join([f"`{' '.join(command)}` ended with status {code}; its last lines:", *last]),
            hint=f"the whole of its output is in {log}",
        )
        self.code = code


@dataclass(frozen=True)
class Shell:
    """Runs programs in *folder* with *environment*; their output is appended to files in *logs*."""

    folder: Path
    environment: Mapping[str, str] = field(repr=False)
    """Holds the Prefect server's password: never printed."""
    logs: Path

    def run(self, name: str, *command: str) -> None:
        """Wait for *command*; CommandFailed unless it succeeds."""
        for _ in self.lines(name, *command):
            pass

    def lines(self, name: str, *command: str) -> Iterator[str]:
        """What *command* prints, line by line as it comes; CommandFailed at the end unless it succeeds."""
        log = self.log(name)
        with log.open("a", buffering=1) as file:
            process = self._start(command, subprocess.PIPE, file.fileno(), own_session=False)
            with process:
                yield from _copied(process, file)
        if process.returncode:
            raise CommandFailed(command, process.returncode, log)

    def detached(self, name: str, *command: str) -> subprocess.Popen[str]:
        """Start *command* so that it outlives this process and holds none of its streams."""
        with self.log(name).open("a") as file:
            return self._start(command, file.fileno(), file.fileno(), own_session=True)

    def log(self, name: str) -> Path:
        """Where the output of the program called *name* goes."""
        return self.logs / f"demo-{name}.log"

    def _start(self, command: Sequence[str], out: int, errors: int, *, own_session: bool) -> subprocess.Popen[str]:
        return subprocess.Popen(
            list(command),
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            start_new_session=own_session,
            text=True,
            errors="replace",
        )


def _copied(process: subprocess.Popen[str], file: TextIO) -> Iterator[str]:
    try:
        for line in process.stdout or ():
            file.write(line)
            yield line.rstrip("\n")
    except BaseException:
        # Whoever read its lines has gone: it would be waited for, and nobody hears it.
        process.terminate()
        raise
