"""Usage as bills are made of it: what was billed, summed up by minute and by all that a price or a report may ask for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

DAY = 86_400
_PROMPT = ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "cache_write_30m")


@dataclass(frozen=True, slots=True)
class Usage:
    """One sum. `start`: Unix time of its minute (or of its hour, in a generated month). A restatement may be negative."""

    start: int
    provider: str
    account: str
    project: str
    key_id: str
    endpoint: str
    model: str
    tier: str
    long_context: bool
    requests: int
    input_uncached: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    cache_write_30m: int
    output: int
    web_searches: int
    visible_at: float = 0.0

    @property
    def input_tokens(self) -> int:
        """The whole prompt."""
        return sum(getattr(self, name) for name in _PROMPT)


class Source(Protocol):
    """Where usage comes from: a twin's own record, or a generated month."""

    def usage(self, account: str, start: int, end: int) -> Iterable[Usage]:
        """What *account* was billed for in [start, end), restatements included as far as they are known by now."""
        ...


class Held:
    """Usage in memory, as it was known at *as_of*."""

    def __init__(self, rows: Iterable[Usage], as_of: float) -> None:
        self._days: dict[tuple[str, int], list[Usage]] = {}
        for row in rows:
            if row.visible_at <= as_of:
                self._days.setdefault((row.account, row.start // DAY), []).append(row)

    def usage(self, account: str, start: int, end: int) -> Iterable[Usage]:
        """By day, so that a page reads what it shows."""
        for day in range(start // DAY, -(-end // DAY)):
            for row in self._days.get((account, day), ()):
                if start <= row.start < end:
                    yield row
