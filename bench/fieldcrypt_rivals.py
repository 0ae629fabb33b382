"""The process in which other libraries are timed, with an environment of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.fieldcrypt_loops import Round, Timer
from steward.errors import BadInput, StewardError

_CHECKOUT = Path(__file__).parents[1]
ENVIRONMENT = _CHECKOUT / ".venv-rivals"


class RivalsMissing(BadInput):
    """The rivals' environment is not there."""


class RivalsFailed(StewardError):
    """The rivals' process ended, or answered what is no round."""


class Rivals:
    """The process with the other libraries; it waits, idle, while ours are timed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.versions: dict[str, str]
        self.names: list[str]
        greeting = self._answer()
        self.versions, self.names = greeting["versions"], greeting["contenders"]

    def timer(self, name: str) -> Timer:
        """Of the rival *name*."""

        def timed(calls: int) -> Round:
            self._say(f"{name} {calls}")
            return Round(**self._answer())

        return timed

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        # Who has ended is asked in vain; why is told where its answer is missed.
        with suppress(BrokenPipeError):
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RivalsFailed(
                f"the rivals' process ended with status {self._process.wait()}", hint="its own words are above"
            )
        return json.loads(line)


@contextmanager
def rivals() -> Generator[Rivals]:
    """Started, and ended with the block. Raises RivalsMissing."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        raise RivalsMissing(f"there is no {python}", hint="`make bench-fieldcrypt` makes it from its lock")
    command = [str(python), "-m", "bench.rivals"]
    with subprocess.Popen(command, cwd=_CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        # Leaving the block closes its standard input, which is how it ends.
        yield Rivals(process)
