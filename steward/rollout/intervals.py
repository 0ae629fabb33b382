"""How much two variants differ, with intervals that hold at whatever time one looks.

Both arms together have an e-value against "these are the true shares" (p, q): the product of two Beta(½, ½) mixtures. Pairs whose
e-value stays below 1/(1 - level) are the region in which the true pair lies at all times with that level's chance; the
interval of a difference or a ratio is what it comes to over the region. So both may be read at once, as often as one likes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from steward.errors import BadInput
from steward.rollout.readings import Frozen

_PRIOR = 0.5
_EDGE = 1e-12


class Arm(NamedTuple):
    """Users of a variant, and how many of them had the outcome."""

    users: int
    hits: int

    @property
    def share(self) -> float:
        return self.hits / self.users


class Interval(Frozen):
    """Where the true value lies. `high` is None where the data set no bound."""

    estimate: float | None
    """None: it cannot be said, nobody of the other arm had the outcome."""
    low: float
    high: float | None


class Comparison(Frozen):
    """One variant against another."""

    level: float
    difference: Interval
    """Of the shares; above 0: the variant has more."""
    ratio: Interval

    @property
    def differs(self) -> bool:
        """Whether it is shown that they are not alike."""
        return self.difference.low > 0 or (self.difference.high or 0) < 0


def compare_arms(variant: Arm, other: Arm, level: float = 0.95, comparisons: int = 1) -> Comparison:
    """*variant* against *other*; where several are compared, say how many, and all hold together. BadInput for no counts."""
    for arm in (variant, other):
        if arm.users < 1 or not 0 <= arm.hits <= arm.users:
            raise BadInput(
                f"{arm.hits} of {arm.users} users: no share",
                hint="both variants need users, and no more outcomes than users",
            )
    region = _Region(variant, other, math.log(comparisons / (1 - level)))
    # The ratio's reciprocal is bounded where the ratio is not.
    upside_down = region.least(lambda p, q: q / p if p else math.inf, highest_q=False)
    return Comparison(
        level=level,
        difference=Interval(
            estimate=variant.share - other.share,
            low=max(-1.0, region.least(lambda p, q: p - q, highest_q=True)),
            high=min(1.0, -region.least(lambda p, q: q - p, highest_q=False)),
        ),
        ratio=Interval(
            estimate=variant.share / other.share if other.hits else None,
            low=max(0.0, region.least(lambda p, q: p / q if q else math.inf, highest_q=True)),
            high=1 / upside_down if upside_down > _EDGE else None,
        ),
    )


def _ln_e(arm: Arm, share: float) -> float:
    """Against "the share is this". Convex in the share, and least at what was seen."""
    from scipy import special  # noqa: PLC0415  a quarter of a second, which every run's process would pay before its first step

    misses = arm.users - arm.hits
    mixed = special.betaln(_PRIOR + arm.hits, _PRIOR + misses) - special.betaln(_PRIOR, _PRIOR)
    return float(mixed - special.xlogy(arm.hits, share) - special.xlog1py(misses, -share))


def _edge(arm: Arm, budget: float, *, upper: bool) -> float:
    """The lowest or highest share whose e-value is within *budget*."""
    end = 1.0 if upper else 0.0
    if _ln_e(arm, end) <= budget:
        return end
    seen = arm.share
    if _ln_e(arm, seen) >= budget:
        return seen
    from scipy import optimize  # noqa: PLC0415  as above, and another half a second

    return float(
        optimize.root_scalar(
            lambda share: _ln_e(arm, share) - budget, bracket=(seen, end), method="brentq", xtol=_EDGE
        ).root
    )


class _Region(NamedTuple):
    variant: Arm
    other: Arm
    budget: float

    def least(self, of: Callable[[float, float], float], *, highest_q: bool) -> float:
        """The least value of *of* over the region, which is convex; for each p it is at the lowest or the highest q."""
        room = self.budget - _ln_e(self.other, self.other.share)
        low, high = _edge(self.variant, room, upper=False), _edge(self.variant, room, upper=True)

        def at(p: float) -> float:
            return of(p, _edge(self.other, self.budget - _ln_e(self.variant, p), upper=highest_q))

        from scipy import optimize  # noqa: PLC0415  as above

        found = optimize.minimize_scalar(at, bounds=(low, high), method="bounded", options={"xatol": 1e-9})
        return min(float(found.fun), at(low), at(high))
