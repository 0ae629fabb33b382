"""Figures that must hold whatever the other users see: a release that is as bad as the one before it is still bad."""

from __future__ import annotations

from collections.abc import Mapping

from steward.rollout.plan import Guard, Must, Plan
from steward.rollout.readings import MISSING, Frozen, Reading, Sample, Trouble, trouble_with


class Guarded(Frozen):
    """A guard's standing at one look."""

    name: str
    value: float | None
    """None: it could not be read."""
    broken_since: float | None = None
    """Unix time of the first of the looks, one after the other, that found it broken."""
    breached: bool = False
    """Broken for longer than it may be."""
    finding: str = ""
    """What is wrong with it, in words."""


def assess_guards(reading: Reading, plan: Plan, now: float, before: Mapping[str, Guarded]) -> tuple[Guarded, ...]:
    """Every guard of *plan*, after what the look *before* found of it.

    A look that cannot read it heals nothing: one that was broken stays so, and its time goes on.
    """
    return tuple(_assess(guard, reading.guards.get(guard.name, MISSING), plan, now, before) for guard in plan.guards)


def _assess(guard: Guard, sample: Sample, plan: Plan, now: float, before: Mapping[str, Guarded]) -> Guarded:
    earlier = before.get(guard.name)
    since = earlier.broken_since if earlier else None
    trouble: Trouble | None = trouble_with(sample, guard.name, plan, now)
    if trouble or sample.value is None:
        return Guarded(name=guard.name, value=None, broken_since=since, finding=str(trouble))
    if _holds(guard, sample.value):
        return Guarded(name=guard.name, value=sample.value)
    since = now if since is None else since
    lasted = now - since
    return Guarded(
        name=guard.name,
        value=sample.value,
        broken_since=since,
        breached=lasted >= guard.for_seconds,
        finding=f"{guard.name} is {sample.value:g}, must be {guard.must} {guard.bound:g}; "
        f"broken for {lasted:.0f} s, {guard.for_seconds:g} s are allowed",
    )


def _holds(guard: Guard, value: float) -> bool:
    return value >= guard.bound if guard.must is Must.AT_LEAST else value <= guard.bound
