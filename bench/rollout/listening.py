"""Processes of many SDKs, and what each SDK says that it evaluated."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path

from steward.errors import StewardError

_READY_SECONDS, _TOLD_SECONDS = 120.0, 20.0


class NotToldOf(StewardError):
    """An SDK missed a toggle, or had one too many: its times would be of something else."""


class Told:
    """What all of them said since the last question."""

    def __init__(self, sdks: int) -> None:
        self._sdks, self._ready = sdks, 0
        self._noted: dict[str, list[tuple[int, bool]]] = {}
        self._changed = threading.Condition()

    def hear(self, process: subprocess.Popen[str]) -> None:
        """Every line of it; in a thread of its own."""
        for line in process.stdout or ():
            with self._changed:
                if line == "ready\n":
                    self._ready += 1
                else:
                    name, at, value = line.split()
                    self._noted.setdefault(name, []).append((int(at), value == "1"))
                self._changed.notify()

    def all_ready(self, processes: int) -> None:
        """Raises NotToldOf."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._ready == processes, _READY_SECONDS):
                raise NotToldOf(
                    f"{self._ready} of {processes} processes of SDKs got flags", hint="see what they said above"
                )

    def by_all(self, *, value: bool) -> Mapping[str, int]:
        """When each first evaluated *value*, which is all that it may have evaluated since. Raises NotToldOf."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._noted) == self._sdks, _TOLD_SECONDS)
            noted, self._noted = self._noted, {}
        wrong = sorted(name for name, each in noted.items() if [told for _, told in each] != [value])
        if wrong or len(noted) != self._sdks:
            raise NotToldOf(
                f"{len(noted)} of {self._sdks} SDKs told of a toggle within {_TOLD_SECONDS:g} s, {len(wrong)} of them wrongly: {wrong[:3]}"
            )
        return {name: each[0][0] for name, each in noted.items()}


@contextmanager
def listening(commands: Iterable[tuple[list[str], Path | None]], sdks: int) -> Generator[Told]:
    """The processes of *commands*, each in its folder, in which *sdks* SDKs are connected and have flags."""
    told, running = Told(sdks), list[subprocess.Popen[str]]()
    try:
        for command, folder in commands:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder, bufsize=1
            )
            running.append(process)
            threading.Thread(target=told.hear, args=[process], daemon=True).start()
        told.all_ready(len(running))
        yield told
    finally:
        for process in running:
            process.kill()
        for process in running:
            process.wait()
