"""A judgement's reasons, for the person who is paged: which metric, its figures, and how far from either end."""

from __future__ import annotations

import math

from steward.rollout.plan import Better, Metric, Plan
from steward.rollout.readings import Reading
from steward.rollout.weighing import Basis, Weighed

_MINUTE, _HOUR = 60, 3600
#: Above it a power of ten says as much.
_PLAIN = math.log(1e5)


def seconds(value: float) -> str:
    """A length of time, no finer than anybody would read it."""
    if value < 2 * _MINUTE:
        return f"{value:.0f} s"
    return f"{value / _MINUTE:.0f} min" if value < 2 * _HOUR else f"{value / _HOUR:.1f} h"


def e_value(ln: float) -> str:
    """An e-value from its logarithm."""
    return f"{math.exp(ln):.3g}" if abs(ln) < _PLAIN else f"10^{ln / math.log(10):.0f}"


def _share(hits: int, users: int) -> str:
    return f"{hits:,} of {users:,}" + (f" ({100 * hits / users:.2g}%)" if users else "")


def figure(each: Weighed, plan: Plan) -> str:
    """The metric in a sentence."""
    counted = f"{each.metric}: {_share(each.on_hits, each.on_users)} exposed users"
    if each.basis is Basis.ABSOLUTE:
        metric = _metric(each, plan)
        tested = f"nobody is left to compare with; {_against_slo(metric)}{_of_whom(each, metric)}"
        return f"{counted}, {tested}; {_for_harm(each)}"
    counted += f", {_share(each.off_hits, each.off_users)} others"
    if each.times is not None:
        counted += f", {each.times:.2g} times as many"
    if each.basis is Basis.FLAWLESS:
        return f"{counted}; nobody erred, so {_against_slo(_metric(each, plan))}; {_for_health(each)}"
    if each.basis is Basis.RARE:
        counted += f"; too rare to be compared before the deadline, so {_against_slo(_metric(each, plan))}"
    return f"{counted}; {_for_harm(each)}; {_for_health(each)}"


def _metric(each: Weighed, plan: Plan) -> Metric:
    return next(metric for metric in plan.metrics if metric.name == each.metric)


def _against_slo(metric: Metric) -> str:
    return f"tested against {'at most' if metric.better is Better.LOWER else 'at least'} {100 * metric.slo:g}%"


def _of_whom(each: Weighed, metric: Metric) -> str:
    if each.due_users is None:
        return ""
    return f" of the {each.due_users:,} who came at least {seconds(metric.within_seconds)} ago"


def _for_harm(each: Weighed) -> str:
    return f"e-value for harm {e_value(each.ln_e_bad)}, rolled back at {e_value(each.ln_bad_needed)}"


def _for_health(each: Weighed) -> str:
    return f"for health {e_value(each.ln_e_good)} of {e_value(each.ln_good_needed)}"


def of_harm(each: Weighed, plan: Plan) -> str:
    """Why it is rolled back."""
    return f"harm: {figure(each, plan)}"


def of_unproved(each: Weighed, plan: Plan) -> str:
    """Why it does not go on, and when it might."""
    ends: list[str] = []
    if each.seconds_to_go is not None:
        ends.append(f"proved in about {seconds(each.seconds_to_go)} if the exposed do as the others")
    if each.seconds_to_roll_back is not None:
        ends.append(f"rolled back in about {seconds(each.seconds_to_roll_back)} if they go on so")
    return f"not proved: {figure(each, plan)}; " + (", ".join(ends) or "no end in sight at this rate")


def of_mismatch(reading: Reading, ln_e: float) -> str:
    """Why the arms cannot be compared."""
    on, off = reading.on.users.value or 0, reading.off.users.value or 0
    return (
        f"users do not split as planned: {_share(int(on), int(on + off))} are exposed, {reading.exposure}% should be "
        f"(e-value {e_value(ln_e)}): the arms are not alike, so nothing is proved by comparing them"
    )


def of_too_little(users_missing: int | None, left: float) -> str:
    """That a person is needed, and how many users are."""
    many = "too many to say" if users_missing is None else f"about {users_missing:,}"
    return (
        f"too little traffic to prove anything in the {seconds(max(0, left))} left: exposed users missing: {many}. "
        "Only a person's override, with who and why, lets it go on"
    )
