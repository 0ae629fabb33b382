"""When the exposed users of a step came: whoever has only just come has not failed to do what users come for.

What users meet late is told late of a release, which is no harm to it. What they *lack* is there at once: in the first second of a
step that exposes all, nobody has ordered anything.
"""

from __future__ import annotations

from typing import NamedTuple

from steward.rollout.plan import Better, Plan

_POINTS = 50
"""Kept of the longest time that is asked for: users count as due by so much of it later, never earlier."""


class Came(NamedTuple):
    """So many users were there."""

    at: float
    """Unix time."""
    users: int


def noted(came: tuple[Came, ...], users: int, now: float, plan: Plan) -> tuple[Came, ...]:
    """*came*, and that *users* are there *now*; as far back as a metric of *plan* asks for."""
    longest = max((each.within_seconds for each in plan.metrics if each.better is Better.HIGHER), default=None)
    if longest is None:
        return ()
    if came and now - came[-1].at < longest / _POINTS:
        return came
    needed = max((each.at for each in came if each.at <= now - longest), default=0.0)
    return (*(each for each in came if each.at >= needed), Came(now, users))


def came_by(came: tuple[Came, ...], moment: float) -> int:
    """How many had come by then, or fewer."""
    return max((each.users for each in came if each.at <= moment), default=0)
