"""A greedy client in front of a limiter, and the log of a provider that counts exactly what arrives from it.

Needs nothing but Python: rivals run it in an environment of their own.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

WINDOW_SECONDS = 60.0
#: Between the grant and the arrival at the provider.
DISPATCH_SECONDS = 2.0
LIMIT = 1_000
#: Each request costs up to so much.
_MOST = 20
_POLL_SECONDS = 0.25

#: Whether that much was granted.
Take = Callable[[int], bool]


@dataclass
class Pressure:
    """What was granted, by when it arrived."""

    arrivals: list[tuple[float, int]] = field(default_factory=list)
    granted: list[tuple[float, int]] = field(default_factory=list)
    _lot: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311 # reproducible, no secret

    def one(self, take: Take) -> bool:
        """A single request of the smallest cost; whether it was granted."""
        return self._ask(take, 1)

    def greedy(self, take: Take, seconds: float) -> None:
        """As much as there is, for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not self._ask(take, self._lot.randint(1, _MOST)):
                time.sleep(_POLL_SECONDS)

    def _ask(self, take: Take, cost: int) -> bool:
        asked = time.monotonic()
        if not take(cost):
            return False
        # The worst that a network may do: what fills the limit first arrives as late as it may, what comes after it at once.
        late = 0.999 * DISPATCH_SECONDS if sum(units for _, units in self.granted) < LIMIT else 0.0
        self.granted.append((asked, cost))
        self.arrivals.append((asked + late, cost))
        return True

    def worst_percent(self) -> float:
        """The most that one window held, in per cent of the limit."""
        log, held, worst, oldest = sorted(self.arrivals), 0, 0, 0
        for at, cost in log:
            held += cost
            while log[oldest][0] <= at - WINDOW_SECONDS:
                held -= log[oldest][1]
                oldest += 1
            worst = max(worst, held)
        return round(100 * worst / LIMIT, 1)

    def utilisation_percent(self, seconds: float) -> float:
        """Of what the limit allows in *seconds*, as many as there are in whole rings, from the first grant on."""
        first = self.granted[0][0]
        # A bucket's second earlier: the ring after the last one may begin in it, and is not to be counted.
        used = sum(cost for at, cost in self.granted if at < first + seconds - 1)
        return round(100 * used / (LIMIT * seconds / WINDOW_SECONDS), 1)
