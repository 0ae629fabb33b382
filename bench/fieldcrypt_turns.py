"""Field encryption beside its rivals, in turns: ours in this process, theirs in one with their own environment."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from bench.fieldcrypt_loops import FIELD, TABLE, Contender, Round, rows, time_round
from bench.ground import progress
from steward.errors import BadInput, StewardError
from steward.fieldcrypt import FieldCipher

ENVIRONMENT = Path(".venv-rivals")
OURS = "ours"

Timer = Callable[[int], Round]
"""Times one round of as many calls."""


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
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        # Leaving the block closes its standard input, which is how it ends.
        yield Rivals(process)


def ours(cipher: FieldCipher) -> Timer:
    """Through the API that applications use, the row's frame made at every call as they would have it."""
    wanted = rows()
    contender = Contender(
        lambda row: cipher.encrypt(TABLE, FIELD, row.id, row.value),
        lambda row, ciphertext: cipher.decrypt(TABLE, FIELD, row.id, ciphertext),
    )
    return lambda calls: time_round(contender, wanted, calls)


def in_turns(timers: dict[str, Timer], rounds: int, calls: int) -> dict[str, list[Round]]:
    """Every contender's rounds. Each turn begins with another one, so that none always follows the same."""
    # Once unmeasured: caches fill, keys are derived.
    for timer in timers.values():
        timer(calls)
    times = {name: list[Round]() for name in timers}
    names = list(timers)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            times[name].append(timers[name](calls))
    return times


def figures(times: dict[str, list[Round]]) -> dict[str, Any]:
    """`<name>_us` is encryption and decryption of one value together; medians of rounds, and of ratios round by round."""
    told: dict[str, Any] = {}
    for name, taken in times.items():
        prefix = "" if name == OURS else f"{name}_"
        told[f"{prefix}encrypt_us"] = _microseconds(one.encrypt_us for one in taken)
        told[f"{prefix}decrypt_us"] = _microseconds(one.decrypt_us for one in taken)
        told["sum_us" if name == OURS else f"{name}_us"] = _microseconds(_both(one) for one in taken)
        told[f"{prefix}overhead_bytes"] = taken[-1].overhead_bytes
    told["times_as_long_as_ours"] = {name: _ratio(taken, times[OURS]) for name, taken in times.items() if name != OURS}
    return told


def tell(times: dict[str, list[Round]]) -> None:
    """A line a contender, for people."""
    for name, taken in times.items():
        sums = sorted(_both(one) for one in taken)
        progress(f"  {name:16} {median(sums):8.2f} µs (between {sums[0]:.2f} and {sums[-1]:.2f})")


def _both(one: Round) -> float:
    return one.encrypt_us + one.decrypt_us


def _ratio(theirs: list[Round], mine: list[Round]) -> float:
    return round(median(_both(their) / _both(our) for their, our in zip(theirs, mine, strict=True)), 2)


def _microseconds(values: Any) -> float:
    return round(median(values), 2)
