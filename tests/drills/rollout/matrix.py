"""Whatever a figure can be beside a number that is fresh, for each figure at each step: none of it may let a step go on."""

import math
from typing import NamedTuple

from steward.rollout.judge import Decision, judge
from steward.rollout.plan import Plan
from steward.rollout.readings import MISSING, ArmCounts, Reading, Sample

BEGUN = 1_000.0
STALE = "stale"
#: By what they are called: a figure in place of one that is well.
TROUBLES = {
    "missing": MISSING,
    "not a number": Sample(value=math.nan, at=0),
    STALE: Sample(value=0, at=0),
    "zero traffic": None,
}
SPLIT = "users split otherwise than planned"


class Cell(NamedTuple):
    """One trouble, of one figure, at one step."""

    trouble: str
    figure: str
    exposure: int
    baking: bool


def cells(plan):
    """All of them; users who split otherwise than planned are a trouble of both arms at once."""
    at = [*((step, False) for step in plan.steps), (plan.steps[-1], True)]
    for exposure, baking in at:
        arms = ("on", "off") if exposure < plan.steps[-1] else ("on",)
        figures = [f"{arm} {what}" for arm in arms for what in ("users", *(each.name for each in plan.metrics))]
        guards = [f"guard {each.name}" for each in plan.guards]
        for trouble, value in TROUBLES.items():
            named = [f"{arm} users" for arm in (*arms, "all")] if value is None else [*figures, *guards]
            # Where all are to be exposed nobody waits for others.
            yield from (
                Cell(trouble, each, exposure, baking) for each in named if (each, len(arms)) != ("all users", 1)
            )
        yield Cell(SPLIT, "all users", exposure, baking)


def promotes(cell, plan):
    """Whether it goes on, once the time is over or at the deadline."""
    now = BEGUN + max(plan.minimum_seconds, plan.bake_seconds) + 60
    late = BEGUN + plan.deadline_seconds + plan.bake_seconds
    return any(judge(damaged(cell, plan, at), plan, at).decision is Decision.GO for at in (now, late))


def renews(cell, plan):
    """Whether users would stay exposed on it."""
    now = BEGUN + max(plan.minimum_seconds, plan.bake_seconds) + 60
    return judge(damaged(cell, plan, now), plan, now).may_renew


def damaged(cell, plan, now):
    """A reading that would go on but for the one trouble."""
    reading = well(cell, plan, now)
    if cell.trouble == SPLIT:
        more = {"on": 3, "off": 1} if cell.exposure < plan.steps[-1] else {"on": 1, "off": 3}
        return reading.model_copy(update={arm: _arm(plan, 20_000 * times, now) for arm, times in more.items()})
    where, _, what = cell.figure.partition(" ")
    bad = TROUBLES[cell.trouble]
    if bad is None:
        arms = ("on", "off") if where == "all" else (where,)
        return reading.model_copy(update={arm: _arm(plan, 0, now) for arm in arms})
    if cell.trouble == STALE:
        bad = Sample(value=0, at=now - plan.stale_seconds - 1)
    elif bad.at is not None:
        bad = Sample(value=bad.value, at=now)
    if where == "guard":
        guard = next(each for each in plan.guards if each.name == what)
        # Stale or not, the value alone would hold.
        value = Sample(value=guard.bound, at=bad.at) if cell.trouble == STALE else bad
        return reading.model_copy(update={"guards": {**reading.guards, what: value}})
    arm = getattr(reading, where)
    if cell.trouble == STALE:
        well_one = arm.users if what == "users" else arm.hits[what]
        bad = Sample(value=well_one.value, at=bad.at)
    changed = {"users": bad} if what == "users" else {"hits": {**arm.hits, what: bad}}
    return reading.model_copy(update={where: arm.model_copy(update=changed)})


def well(cell, plan, now):
    """A reading that goes on."""
    everybody = cell.exposure == plan.steps[-1]
    users = 200_000
    on = users if everybody else users * cell.exposure // 100
    return Reading(
        step=1,
        exposure=cell.exposure,
        begun_at=BEGUN,
        baking=cell.baking,
        on=_arm(plan, on, now),
        off=ArmCounts() if everybody else _arm(plan, users - on, now),
        guards={each.name: Sample(value=each.bound, at=now) for each in plan.guards},
    )


def _arm(plan, users, now):
    """One in a hundred of them errs, or as many as the SLO has room for."""
    hits = {each.name: Sample(value=users // 200, at=now) for each in plan.metrics}
    return ArmCounts(users=Sample(value=users, at=now), hits=hits)


def count(plan=None):
    """How many cells there are, and those that let a step go on."""
    plan = plan or Plan()
    every = list(cells(plan))
    return len(every), [cell for cell in every if promotes(cell, plan)]
