"""How a route does, from what all workers have seen of it lately; and whether it is tried at all.

A worker adds its outcomes to shared counts and reads everybody's once a second, beside its requests and not before each of
them. What follows from the counts is here: plain functions of numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

#: Seconds of outcomes that are looked at, in slices of SLICE seconds; an older slice weighs half of the one after it.
WINDOW, SLICE = 30, 5
_FADES = 0.5
#: A route is not judged by fewer failures: one bad minute of one user is no outage.
_LEAST_FAILURES = 5
_OPENS_AT = 0.5
#: A route that is shut is tried by one request a second, of all workers together.
PROBE_SECONDS = 1.0
#: Answers begin in about a second; a route that takes as long as this is half as good.
_SLOW_MILLISECONDS = 2000.0


class Door(StrEnum):
    """Whether requests go there."""

    OPEN = "open"
    SHUT = "shut"
    """Only one that was let in to see how it is."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Outcomes of one slice. What a caller did wrong, and a 429, are none: the provider is well."""

    answered: int = 0
    failed: int = 0
    first_token_ms: int = 0
    """Summed over what was answered."""


@dataclass(frozen=True, slots=True)
class Health:
    """Of one route, now."""

    error_rate: float
    first_token_ms: float | None
    """None: nothing was answered."""
    door: Door

    @property
    def score(self) -> float:
        """From 0 to 1: what its weight is multiplied by."""
        slowness = (self.first_token_ms or 0.0) / _SLOW_MILLISECONDS
        return (1.0 - self.error_rate) / (1.0 + slowness)


#: Of a route that nobody has used lately.
UNUSED = Health(0.0, None, Door.OPEN)


def slice_of(now: float) -> int:
    """Which slice the Unix time *now* is in."""
    return int(now // SLICE)


def assess(seen: Mapping[int, Seen], now: float) -> Health:
    """From the slices of the window; older ones are not looked at."""
    newest = slice_of(now)
    answered = failed = waited = 0.0
    failures = 0
    for number, each in seen.items():
        age = newest - number
        if 0 <= age < WINDOW // SLICE:
            weight = _FADES**age
            answered += weight * each.answered
            failed += weight * each.failed
            waited += weight * each.first_token_ms
            failures += each.failed
    if answered + failed == 0:
        return UNUSED
    error_rate = failed / (answered + failed)
    shut = failures >= _LEAST_FAILURES and error_rate >= _OPENS_AT
    return Health(error_rate, waited / answered if answered else None, Door.SHUT if shut else Door.OPEN)
