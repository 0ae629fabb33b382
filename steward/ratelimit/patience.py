"""How long whoever waits for a limit sleeps between two questions."""

from __future__ import annotations

import random

from steward.ratelimit.errors import LimitReached

#: Settled requests give back before anything leaves the ring, and a tenant that does not ask for a second loses its
#: place: so nobody sleeps longer than this, however far the hint is.
_LONGEST_SECONDS = 0.5
_SHORTEST_SECONDS = 0.01
#: Nothing that others do ends these any sooner.
_SURE = frozenset({"starting", "throttled"})


def pause_seconds(denied: LimitReached, left_seconds: float) -> float | None:
    """Until the next question; None: it is not worth waiting, for the answer comes after *left_seconds*.

    Jittered, so that those who were denied together do not come back together.
    """
    hint = denied.retry_after_seconds
    if left_seconds <= 0 or (denied.why in _SURE and hint > left_seconds):
        return None
    if denied.why in _SURE:
        # Spread behind the moment, never before it.
        return hint + random.uniform(0, min(_LONGEST_SECONDS, left_seconds - hint))  # noqa: S311 # no secret
    longest = max(_SHORTEST_SECONDS, min(hint, _LONGEST_SECONDS, left_seconds))
    return random.uniform(max(_SHORTEST_SECONDS, longest / 2), longest)  # noqa: S311 # no secret
