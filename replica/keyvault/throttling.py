"""Sliding windows over transactions: what is over a published limit is refused with 429 and told when to come again."""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from replica.keyvault.errors import throttled
from replica.keyvault.limits import SUBSCRIPTION_FACTOR, WINDOW_SECONDS, Transaction

# Divisible by every published limit, so that shares of a pool add up without rounding.
_POOL = 12_000


@dataclass(slots=True)
class _Window:
    taken: deque[tuple[float, int]] = field(default_factory=deque[tuple[float, int]])
    total: int = 0

    def forget(self, before: float) -> None:
        while self.taken and self.taken[0][0] <= before:
            self.total -= self.taken.popleft()[1]

    def wait_seconds(self, cost: int, capacity: int, now: float) -> float:
        """How long until *cost* fits; 0 where it does."""
        over = self.total + cost - capacity
        for at, share in self.taken:
            if over <= 0:
                break
            over -= share
            if over <= 0:
                return at + WINDOW_SECONDS - now
        return 0.0


class Subscription:
    """The windows of one subscription and of each of its vaults; thread-safe.

    *factor* multiplies every limit, for tests that are not about throttling. A refused request takes nothing of the limit:
    a client that keeps knocking is served as soon as a place is free.
    """

    def __init__(self, *, factor: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._factor, self._clock = factor, clock
        self._lock = threading.Lock()
        self._windows: defaultdict[tuple[str, str], _Window] = defaultdict(_Window)

    def admit(self, vault: str, transaction: Transaction) -> None:
        """Count *transaction* for *vault*; Refusal 429 where its limit or the subscription's is reached."""
        scopes = {
            "Vault": (vault, _POOL * self._factor),
            "Subscription": ("", _POOL * self._factor * SUBSCRIPTION_FACTOR),
        }
        cost, now = _POOL // transaction.limit, self._clock()
        with self._lock:
            for scope, (name, capacity) in scopes.items():
                window = self._windows[name, transaction.pool]
                window.forget(now - WINDOW_SECONDS)
                if wait := window.wait_seconds(cost, capacity, now):
                    raise throttled(f"{scope}RequestTypeLimitReached", math.ceil(wait))
            for name, _ in scopes.values():
                window = self._windows[name, transaction.pool]
                window.taken.append((now, cost))
                window.total += cost
