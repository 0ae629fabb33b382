"""What a ring looks like to a person who asks why nothing is granted."""

from __future__ import annotations

from dataclasses import dataclass

from steward.ratelimit.limits import NOTHING, Cost


@dataclass(frozen=True, slots=True)
class State:
    """One ring at the moment it was asked."""

    #: False: nothing is known of it, so its first reservation will find it as the policy says, exhausted or empty.
    known: bool
    #: Kept by a server that was promoted or restarted since: the next reservation begins it anew.
    stale: bool = False
    window_seconds: int = 0
    ring_seconds: int = 0
    used: Cost = NOTHING
    #: What may be used of each limit now, by name; None where there is no limit.
    allowed: dict[str, int | None] | None = None
    #: 1 until a 429 from outside takes of it.
    factor: float = 1.0
    #: Above 0 while it starts exhausted.
    opens_in_seconds: float = 0.0
    #: Above 0 while the provider wants to be left alone.
    blocked_seconds: float = 0.0
    #: Tenants that were denied within the last second or so.
    waiting: int = 0
