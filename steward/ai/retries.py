"""How often a failed request may be sent again: a part of all requests, so that an outage is not made worse by retries."""

from __future__ import annotations

import time
from collections.abc import Callable

#: For each request so much of a retry, and so many a second beside that: a quiet service may retry, too.
RATIO, PER_SECOND = 0.2, 10.0
#: Nothing is saved up for longer than this.
_SECONDS = 10.0


class RetryBudget:
    """Of one worker; *share*: its part of what all workers may have a second."""

    def __init__(self, share: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._clock = PER_SECOND * share, clock
        self._left, self._at = max(self._per_second, 1.0), clock()

    def request(self) -> None:
        """A first attempt."""
        self._refill()
        self._left = min(self._left + RATIO, self._most)

    def retry(self) -> bool:
        """Whether one more attempt may be made; then it is counted."""
        self._refill()
        if self._left < 1:
            return False
        self._left -= 1
        return True

    @property
    def _most(self) -> float:
        return max(self._per_second, 1.0) * _SECONDS

    def _refill(self) -> None:
        now = self._clock()
        self._left = min(self._left + (now - self._at) * self._per_second, self._most)
        self._at = now
