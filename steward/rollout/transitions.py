"""What may follow what in a rollout.

    preparing → exposing (step by step) → baking → certified
         └───────────┴───────────────────────┴───→ withdrawing → rolled_back

Forward is one step at a time, under a lease that lives. Back is possible from anywhere, and one-way.
"""

from __future__ import annotations

from enum import StrEnum

from steward.errors import StewardError
from steward.rollout.record import Rollout, Stage


class OutOfOrder(StewardError):
    """The rollout is not where this would follow."""


class Next(StrEnum):
    """What a controller that was started again does with the rollout that it finds."""

    GO_ON = "go on"
    """Its lease lives: users are exposed as the row says, and the step's counts go on."""
    ROLL_BACK = "roll back"
    """Its lease is over, or it was withdrawn: users are back already, and the rest is to follow."""
    NOTHING = "nothing"
    """It has ended."""


def after_restart(rollout: Rollout) -> Next:
    """By the row as it was just read."""
    if rollout.state.has_ended:
        return Next.NOTHING
    if rollout.state is Stage.WITHDRAWING or rollout.has_lapsed:
        return Next.ROLL_BACK
    return Next.GO_ON


def may_be_at(rollout: Rollout, stage: Stage, step: int) -> bool:
    """Whether *rollout* may be at *stage* and *step* next. Where it is already counts: a step may run twice."""
    last = len(rollout.plan.steps)
    if stage in (Stage.WITHDRAWING, Stage.ROLLED_BACK):
        return rollout.state is stage or (
            not rollout.state.has_ended if stage is Stage.WITHDRAWING else rollout.state is Stage.WITHDRAWING
        )
    if (rollout.state, rollout.step) == (stage, step):
        return True
    match rollout.state, stage:
        case Stage.PREPARING, Stage.EXPOSING:
            return step == 1
        case Stage.EXPOSING, Stage.EXPOSING:
            return step == rollout.step + 1 <= last
        case (Stage.EXPOSING, Stage.BAKING) | (Stage.BAKING, Stage.CERTIFIED):
            return step == rollout.step == last
        case _:
            return False


def require_at(rollout: Rollout, stage: Stage, step: int) -> None:
    """Raises OutOfOrder unless *rollout* may be at *stage* and *step* next."""
    if not may_be_at(rollout, stage, step):
        raise OutOfOrder(
            f"{rollout} is {rollout.state} at step {rollout.step} of {len(rollout.plan.steps)}: "
            f"{stage} at step {step} does not follow",
            hint="steps follow one by one, then the bake, then the certificate; back is possible at any time",
        )
