"""One metric of one look: the evidence for harm and for health, and how far either is from deciding.

Harm is that the exposed do worse than `1 + tolerance` times the others; health, that they do better than the bad ratio. A user
counts once a step, so bursts of one user weigh no more than one error (counting errors instead rolled back 32% of good
releases).
"""

from __future__ import annotations

import functools
import math
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from steward.rollout.arrivals import Came, came_by
from steward.rollout.evalues import arm_share, ln_e_above, ln_e_below, ln_e_flawless
from steward.rollout.plan import Better, Metric, Plan
from steward.rollout.readings import Frozen, Reading

if TYPE_CHECKING:
    from steward.rollout.evalues import LogE

ANEW_SHARE = 4
"""A test that is begun anew has a fourth of the chances of error, for the one before it has had its own."""
MOST_ANEW = 4
"""Beyond it, chances of error would more than double."""
LEANS_AT = math.log(3)
"""Two who err among 5% of the users and none among the others come to more."""


class Basis(StrEnum):
    """What is compared with what."""

    RELATIVE = "relative"
    """The exposed against the others."""
    FLAWLESS = "flawless"
    """Nobody errs in either arm, so that there is nothing to compare: the exposed against the SLO."""
    RARE = "rare"
    """Too few err to be compared before the deadline, and the plan takes the exposed's being within the SLO for enough."""
    ABSOLUTE = "absolute"
    """All are exposed: against the SLO, and only for harm. Health was proved at the step before."""


class Limits(NamedTuple):
    """Natural logarithms of the e-values that decide."""

    bad: float
    good: float


class Weighed(Frozen):
    """A metric's standing."""

    metric: str
    basis: Basis
    on_users: int
    on_hits: int
    due_users: int | None = None
    """Where all are exposed and more is better: exposed users who have had time for it. None: that is no matter."""
    off_users: int
    off_hits: int
    ln_e_bad: float
    ln_e_good: float
    ln_bad_needed: float
    ln_good_needed: float
    seconds_to_roll_back: float | None = None
    """At the present rate, if the exposed go on as they do. None: not in sight."""
    seconds_to_go: float | None = None
    """At the present rate, if the exposed do as the others from now on."""
    seconds_in_all: float | None = None
    """From the step's beginning: what a proof takes at the present rate where the arms are alike."""
    users_missing: int | None = None
    """Exposed users until it can be proved, if the exposed do as the others from now on."""

    @property
    def harmed(self) -> bool:
        return self.ln_e_bad >= self.ln_bad_needed

    @property
    def proved(self) -> bool:
        return self.basis is Basis.ABSOLUTE or self.ln_e_good >= self.ln_good_needed

    @property
    def leans_to_harm(self) -> bool:
        """There is some evidence of harm: too much for anybody to say that only traffic is missing."""
        return self.ln_e_bad >= LEANS_AT

    @property
    def times(self) -> float | None:
        """How many times as large the share is among the exposed. None where it cannot be said."""
        if not (self.on_users and self.off_users and self.off_hits):
            return None
        return self.on_hits / self.on_users / (self.off_hits / self.off_users)


def limits_of(plan: Plan, begun_anew: int) -> Limits:
    """What evidence decides a step. Alpha is shared among the metrics; beta is not, since every one of them must be proved."""
    share = ANEW_SHARE if begun_anew else 1
    return Limits(
        math.log(len(plan.metrics) * share / plan.alpha),
        math.log(share / plan.beta),
    )


class _Counts(NamedTuple):
    """Of those who erred (or, where more is better, of all who did it): how many are in the arm that is to have few."""

    hits: float
    of: float
    weight: float
    """That arm's part of all users."""


def _counts(metric: Metric, on_hits: float, off_hits: float, weight: float) -> _Counts:
    of = on_hits + off_hits
    if metric.better is Better.LOWER:
        return _Counts(on_hits, of, weight)
    # Where more is better, harm is that the others have more.
    return _Counts(off_hits, of, 1 - weight)


def weigh(metric: Metric, reading: Reading, plan: Plan, now: float, came: tuple[Came, ...] = ()) -> Weighed:
    """*metric* as *reading* has it, whose counts are sound. *came*: when its exposed users did."""
    limits = limits_of(plan, reading.begun_anew)
    on_users, on_hits = _number(reading.on.users.value), _number(reading.on.of(metric.name).value)
    off_users, off_hits = (
        (_number(reading.off.users.value), _number(reading.off.of(metric.name).value)) if reading.compares else (0, 0)
    )
    seen = Weighed(
        metric=metric.name,
        basis=_basis_of(metric, reading, on_hits + off_hits),
        on_users=on_users,
        on_hits=on_hits,
        off_users=off_users,
        off_hits=off_hits,
        ln_e_bad=0,
        ln_e_good=0,
        ln_bad_needed=limits.bad,
        ln_good_needed=limits.good,
    )
    elapsed = max(now - reading.begun_at, 1e-3)
    match seen.basis:
        case Basis.ABSOLUTE:
            return _absolute(seen, metric, elapsed, came_by(came, now - metric.within_seconds))
        case Basis.FLAWLESS:
            return _flawless(seen, metric, elapsed)
        case Basis.RELATIVE | Basis.RARE:
            seen = _relative(seen, metric, plan, reading.weight, elapsed)
            return _within_slo(seen, metric) if is_rare(metric, seen.seconds_in_all, plan) and not seen.proved else seen


def _number(value: float | None) -> int:
    return int(value or 0)


def _basis_of(metric: Metric, reading: Reading, hits: int) -> Basis:
    if not reading.compares:
        return Basis.ABSOLUTE
    flawless = not hits and metric.better is Better.LOWER
    return Basis.FLAWLESS if flawless else Basis.RELATIVE


def _absolute(seen: Weighed, metric: Metric, elapsed: float, due: int) -> Weighed:
    share, hits, users = metric.slo, seen.on_hits, seen.on_users
    if metric.better is Better.HIGHER:
        # Of whoever did it, nobody knows when he came: so some who lack it are overlooked, and nobody is taken for one who does.
        share, hits, users = 1 - share, max(0, due - hits), due
        seen = seen.model_copy(update={"due_users": due})
    if not users:
        return seen
    bad = ln_e_above(hits * _ahead(), users * _ahead(), share)
    return seen.model_copy(
        update={"ln_e_bad": float(bad[0]), "seconds_to_roll_back": _until(bad, seen.ln_bad_needed, elapsed)}
    )


def _flawless(seen: Weighed, metric: Metric, elapsed: float) -> Weighed:
    needed = math.ceil(seen.ln_good_needed / -math.log1p(-metric.slo))
    missing = max(0, needed - seen.on_users)
    return seen.model_copy(
        update={
            "ln_e_good": float(ln_e_flawless(seen.on_users, metric.slo)),
            "users_missing": missing,
            "seconds_in_all": needed * elapsed / seen.on_users if seen.on_users else None,
            "seconds_to_go": missing * elapsed / seen.on_users if seen.on_users else None,
        }
    )


def _relative(seen: Weighed, metric: Metric, plan: Plan, weight: float, elapsed: float) -> Weighed:
    counts = _counts(metric, seen.on_hits, seen.off_hits, weight)
    harm = arm_share(counts.weight, 1 + metric.tolerance)
    health = arm_share(counts.weight, plan.bad_ratio_of(metric))
    bad = ln_e_above(counts.hits * _ahead(), counts.of * _ahead(), harm)
    good = float(ln_e_below(counts.hits, counts.of, health))
    more = 0.0 if good >= seen.ln_good_needed else _more_hits(counts, health, seen.ln_good_needed)
    in_all = hits_in_all(counts.weight, health, seen.ln_good_needed)
    update: dict[str, float | int | None] = {
        "ln_e_bad": float(bad[0]),
        "ln_e_good": good,
        "seconds_to_roll_back": _until(bad, seen.ln_bad_needed, elapsed),
    }
    if counts.of and more is not None:
        update["seconds_to_go"] = more * elapsed / counts.of
        update["users_missing"] = math.ceil(more * seen.on_users / counts.of)
    if counts.of and in_all is not None:
        update["seconds_in_all"] = in_all * elapsed / counts.of
    return seen.model_copy(update=update)


def is_rare(metric: Metric, seconds_in_all: float | None, plan: Plan) -> bool:
    """Whether *plan* lets the SLO stand in for a comparison, since none could be had before the deadline.

    It is asked of the whole step, not of what is left of it: a comparison that stays open is no rarity.
    """
    may = metric.slo_when_rare and metric.better is Better.LOWER
    return may and (seconds_in_all is None or seconds_in_all > plan.deadline_seconds)


def _within_slo(seen: Weighed, metric: Metric) -> Weighed:
    if seen.leans_to_harm:
        return seen
    good = float(ln_e_below(seen.on_hits, seen.on_users, metric.slo))
    return seen.model_copy(update={"basis": Basis.RARE, "ln_e_good": good})


def _until(ahead: LogE, needed: float, elapsed: float) -> float | None:
    reached = ahead >= needed
    return float((_ahead()[reached.argmax()] - 1) * elapsed) if reached.any() else None


def hits_in_all(weight: float, health: float, needed: float) -> float | None:
    """How many who err prove health, if the arms err alike from the beginning."""
    return _more_hits(_Counts(0, 0, weight), health, needed)


def _more_hits(counts: _Counts, health: float, needed: float) -> float | None:
    """How many more who err it takes to prove health, if the arms err alike from now on."""
    good = ln_e_below(counts.hits + counts.weight * _more_hits_to_try(), counts.of + _more_hits_to_try(), health)
    reached = good >= needed
    return float(_more_hits_to_try()[reached.argmax()]) if reached.any() else None


@functools.cache
def _ahead() -> LogE:
    """How much more of what came so far is looked ahead to, in steps of 3%: an estimate wants no more."""
    import numpy as np  # noqa: PLC0415  the reason stands in evalues.py

    return np.geomspace(1, 1e5, 400)


@functools.cache
def _more_hits_to_try() -> LogE:
    """How many more hits are looked ahead to, in the same steps."""
    import numpy as np  # noqa: PLC0415  the reason stands in evalues.py

    return np.geomspace(1, 1e6, 480)
