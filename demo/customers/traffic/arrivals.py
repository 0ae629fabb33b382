"""When requests are due, and of which kind: drawn in advance, whatever becomes of those before."""

from __future__ import annotations

import time
from random import Random
from threading import Lock
from typing import Literal, NamedTuple

Kind = Literal["read", "search", "update", "create"]
#: Shares of each kind in a hundred requests.
SHARES: dict[Kind, int] = {"read": 60, "search": 15, "update": 20, "create": 5}


class Arrival(NamedTuple):
    """One request. `due` is of the monotonic clock."""

    kind: Kind
    due: float


class Arrivals:
    """Independent of each other, *rate* a second on average, for *seconds*. Safe to draw from several threads."""

    def __init__(self, rate: float, seconds: float, seed: int) -> None:
        self._rate, self._chance, self._lock = rate, Random(f"arrivals {seed}"), Lock()
        self._due = time.monotonic()
        self._end = self._due + seconds

    def next(self) -> Arrival | None:
        """The next request, which may be due already; None after the last."""
        with self._lock:
            self._due += self._chance.expovariate(self._rate)
            if self._due > self._end:
                return None
            (kind,) = self._chance.choices(list(SHARES), list(SHARES.values()))
            return Arrival(kind, self._due)
