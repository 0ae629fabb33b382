"""The provider's own limits: an exact log of what came in, and the judge of whoever promises to stay below them.

Nothing is bucketed or decayed: a window is the half-open interval (now - window, now], and every request in it is known by
its own moment. Its clock is the twin's monotonic one.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from replica.providers.configuration import Account, Limit

DIMENSIONS = ("requests", "tokens", "input_tokens", "output_tokens")
_KEPT_VIOLATIONS = 200


@dataclass(slots=True)
class Entry:
    """One admitted request."""

    at: float
    input_tokens: int
    output_tokens: int

    def of(self, dimension: str) -> int:
        """What it takes of *dimension*."""
        if dimension == "requests":
            return 1
        if dimension == "tokens":
            return self.input_tokens + self.output_tokens
        return self.input_tokens if dimension == "input_tokens" else self.output_tokens


@dataclass(frozen=True, slots=True)
class Level:
    """One dimension now: `reset_seconds` until nothing of it is used any more."""

    dimension: str
    limit: int
    used: int
    reset_seconds: float

    @property
    def remaining(self) -> int:
        """Never below nothing, as the headers say it."""
        return max(0, self.limit - self.used)


@dataclass(frozen=True, slots=True)
class Excess:
    """A request that would go above one dimension's limit."""

    level: Level
    requested: int
    retry_seconds: float
    """Until it would fit; endless where it never does."""


@dataclass(slots=True)
class Log:
    """The sliding log of one account's use of one model."""

    limit: Limit
    window_seconds: float
    entries: deque[Entry] = field(default_factory=deque[Entry])
    sums: dict[str, int] = field(default_factory=lambda: dict.fromkeys(DIMENSIONS, 0))
    admitted: int = 0
    violations: int = 0
    worst_percent: dict[str, float] = field(default_factory=dict[str, float])
    listed: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def limited(self) -> Iterable[tuple[str, int]]:
        """The dimensions that have a limit."""
        for dimension in DIMENSIONS:
            limit = getattr(self.limit, dimension)
            if limit is not None:
                yield dimension, limit

    def expire(self, now: float) -> None:
        """Forget what left the window."""
        while self.entries and self.entries[0].at <= now - self.window_seconds:
            old = self.entries.popleft()
            for dimension in DIMENSIONS:
                self.sums[dimension] -= old.of(dimension)

    def excess(self, entry: Entry) -> Excess | None:
        """Where *entry* would go above a limit: the one that takes longest to pass."""
        found = [
            Excess(self._level(dimension, limit, entry.at), entry.of(dimension), self._wait(dimension, limit, entry))
            for dimension, limit in self.limited()
            if self.sums[dimension] + entry.of(dimension) > limit
        ]
        return max(found, key=lambda each: each.retry_seconds, default=None)

    def add(self, entry: Entry) -> None:
        """Count *entry*, whatever the limits say."""
        self.entries.append(entry)
        self.admitted += 1
        for dimension in DIMENSIONS:
            self.sums[dimension] += entry.of(dimension)
        self._note_worst()

    def correct(self, entry: Entry, output_tokens: int) -> None:
        """The real output of *entry*, in its own place of the log."""
        difference = output_tokens - entry.output_tokens
        if self.entries and entry.at >= self.entries[0].at:
            self.sums["output_tokens"] += difference
            self.sums["tokens"] += difference
        entry.output_tokens = output_tokens
        self._note_worst()

    def levels(self, now: float) -> list[Level]:
        """What the headers tell."""
        self.expire(now)
        return [self._level(dimension, limit, now) for dimension, limit in self.limited()]

    def _level(self, dimension: str, limit: int, now: float) -> Level:
        reset = self.entries[-1].at + self.window_seconds - now if self.entries else 0.0
        return Level(dimension, limit, self.sums[dimension], max(0.0, reset))

    def _wait(self, dimension: str, limit: int, entry: Entry) -> float:
        too_much = self.sums[dimension] + entry.of(dimension) - limit
        for old in self.entries:
            too_much -= old.of(dimension)
            if too_much <= 0:
                return old.at + self.window_seconds - entry.at
        return math.inf

    def _note_worst(self) -> None:
        for dimension, limit in self.limited():
            percent = 100 * self.sums[dimension] / limit if limit else math.inf
            self.worst_percent[dimension] = max(self.worst_percent.get(dimension, 0.0), percent)


class Oracle:
    """Every account's logs; *clock* is monotonic."""

    def __init__(
        self, accounts: Iterable[Account], window_seconds: float, mode: str, clock: Callable[[], float]
    ) -> None:
        self.window_seconds, self.mode, self._clock = window_seconds, mode, clock
        self._limits = {(each.name, limit.model): limit for each in accounts for limit in each.limits}
        self._logs: dict[tuple[str, str], Log] = {}

    def limit(self, account: str, model: str) -> Limit:
        """What *account* may use of *model*."""
        return self._limits.get((account, model)) or self._limits.get((account, "*")) or Limit(model)

    def change(self, account: str, limit: Limit) -> None:
        """Another limit from now on, as when the provider moves an account to another tier."""
        self._limits[account, limit.model] = limit
        for (name, model), log in self._logs.items():
            if name == account:
                log.limit = self.limit(name, model)

    def admit(
        self, account: str, model: str, input_tokens: int, output_tokens: int, *, tell: str = ""
    ) -> tuple[Log, Entry, Excess | None]:
        """Count a request unless it violates a limit that is enforced; *tell* is the client's id for it."""
        log = self.log(account, model)
        entry = Entry(self._clock(), input_tokens, output_tokens)
        log.expire(entry.at)
        excess = None if self.mode == "off" else log.excess(entry)
        if excess:
            self._note(log, excess, tell)
        if not excess or self.mode != "enforce":
            log.add(entry)
        return log, entry, excess if self.mode == "enforce" else None

    def log(self, account: str, model: str) -> Log:
        """The log of *account* and *model*, empty at first."""
        key = (account, model)
        if key not in self._logs:
            self._logs[key] = Log(self.limit(account, model), self.window_seconds)
        return self._logs[key]

    def now(self) -> float:
        """The clock that entries are counted by."""
        return self._clock()

    def report(self) -> dict[str, Any]:
        """What `/admin/violations` tells."""
        rows = [_row(account, model, log) for (account, model), log in sorted(self._logs.items())]
        return {
            "mode": self.mode,
            "window_seconds": self.window_seconds,
            "violations": sum(log.violations for log in self._logs.values()),
            "data": rows,
        }

    def forget(self) -> None:
        """Begin anew: logs, violations and worst windows."""
        self._logs.clear()

    @staticmethod
    def _note(log: Log, excess: Excess, tell: str) -> None:
        log.violations += 1
        if len(log.listed) < _KEPT_VIOLATIONS:
            level = excess.level
            seen = {
                "dimension": level.dimension,
                "limit": level.limit,
                "used": level.used,
                "requested": excess.requested,
            }
            log.listed.append({"client_request_id": tell, **seen})


def _row(account: str, model: str, log: Log) -> dict[str, Any]:
    return {
        "account": account,
        "model": model,
        "limits": dict(log.limited()),
        "admitted": log.admitted,
        "violations": log.violations,
        "worst_percent": {name: round(value, 3) for name, value in log.worst_percent.items()},
        "listed": log.listed,
    }
