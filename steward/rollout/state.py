"""A rollout's states, and what may follow what: the same rules for the flow, the guardian and a person who rolls back.

    preparing → exposing → baking → certified
         └─────────┴─────────┴───→ withdrawing → rolled_back

Going forward takes the newest epoch, a lease that lives, and a GO on what is exposed. Going back takes nothing, from anywhere.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from steward.rollout.errors import (
    ApprovalMissing,
    LeaseExpired,
    NewerAttempt,
    OutOfOrder,
    RolloutEnded,
    RolloutWithdrawn,
    StepNotProved,
)
from steward.rollout.plan import Plan
from steward.rollout.readings import Frozen


class State(StrEnum):
    """As the column `state` of `steward.rollouts` has it."""

    PREPARING = "preparing"
    """Nobody is exposed yet."""
    EXPOSING = "exposing"
    BAKING = "baking"
    """All are exposed and were judged; time is to pass."""
    WITHDRAWING = "withdrawing"
    """Exposure is zero; traffic is on its way to the release before."""
    CERTIFIED = "certified"
    ROLLED_BACK = "rolled_back"


ENDED = frozenset({State.CERTIFIED, State.ROLLED_BACK})


class Standing(Frozen):
    """What of a rollout's row the rules look at. Times are Unix seconds, by the database's clock."""

    state: State = State.PREPARING
    step: int = 0
    exposure: int = 0
    epoch: int
    """The fencing token of the attempt that may act for it."""
    lease_until: float
    who: str | None = None
    why: str | None = None

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    def expired(self, now: float) -> bool:
        """Users are no longer exposed, whatever the row says."""
        return now >= self.lease_until


class Claim(NamedTuple):
    """Who acts, and when."""

    epoch: int
    now: float


class Passed(NamedTuple):
    """That the step *step* was judged GO, and a person asked where the plan wants it."""

    step: int
    approved: bool = False


class Resume(StrEnum):
    """What a restarted controller does."""

    GO_ON = "go on"
    ROLL_BACK = "roll back"
    NOTHING = "nothing"
    """It has ended."""


def resume(rollout: Standing, now: float) -> Resume:
    """Go on while the lease lives; else users have been taken back already, and the rest follows."""
    if rollout.ended:
        return Resume.NOTHING
    if rollout.state is State.WITHDRAWING or rollout.expired(now):
        return Resume.ROLL_BACK
    return Resume.GO_ON


def take_over(rollout: Standing, claim: Claim) -> Standing:
    """For a newer attempt: from here on the older one can change nothing. It renews no lease."""
    _require_open(rollout)
    if claim.epoch < rollout.epoch:
        raise _newer(rollout, claim)
    return rollout.model_copy(update={"epoch": claim.epoch})


def renew(rollout: Standing, plan: Plan, claim: Claim) -> Standing:
    """With a lease from now on. LeaseExpired where it ended: users were taken back, and are not to flip twice."""
    _require_forward(rollout, claim)
    return rollout.model_copy(update={"lease_until": claim.now + plan.lease_seconds})


def expose(rollout: Standing, plan: Plan, claim: Claim, passed: Passed | None = None) -> Standing:
    """At the plan's next step. *passed* speaks for the step that it leaves; the first one needs none."""
    _require_forward(rollout, claim)
    following = plan.following(rollout.exposure)
    if following is None or rollout.state is State.BAKING:
        raise OutOfOrder(
            f"all steps of {list(plan.steps)} are over", hint="what follows is the bake, then certification"
        )
    if rollout.state is State.EXPOSING:
        _require_passed(rollout, plan, passed)
    return renew(rollout, plan, claim).model_copy(
        update={"state": State.EXPOSING, "step": rollout.step + 1, "exposure": following}
    )


def bake(rollout: Standing, plan: Plan, claim: Claim, passed: Passed | None) -> Standing:
    """After the last step."""
    _require_forward(rollout, claim)
    if rollout.state is not State.EXPOSING or plan.following(rollout.exposure) is not None:
        raise OutOfOrder(
            f"a rollout that is {rollout.state} at {rollout.exposure}% has steps before it",
            hint=f"steps: {list(plan.steps)}",
        )
    _require_passed(rollout, plan, passed)
    return renew(rollout, plan, claim).model_copy(update={"state": State.BAKING})


def certify(rollout: Standing, claim: Claim, passed: Passed | None) -> Standing:
    """After the bake. The lease goes only now: from here on exposure depends on nobody."""
    _require_forward(rollout, claim)
    if rollout.state is not State.BAKING:
        raise OutOfOrder(
            f"a rollout that is {rollout.state} is not certified", hint="every step and the bake come first"
        )
    if passed is None or passed.step != rollout.step:
        raise _unproved(rollout, passed)
    return rollout.model_copy(update={"state": State.CERTIFIED})


def withdraw(rollout: Standing, who: str, why: str) -> Standing:
    """Turn back; whoever says so, whatever its epoch. Said again, the first reason stays."""
    _require_not_ended(rollout)
    if rollout.state is State.WITHDRAWING:
        return rollout
    return rollout.model_copy(update={"state": State.WITHDRAWING, "exposure": 0, "who": who, "why": why})


def rolled_back(rollout: Standing) -> Standing:
    """Once flag and traffic are proved to be as before. Said again, it stays."""
    if rollout.state is State.ROLLED_BACK:
        return rollout
    _require_not_ended(rollout)
    if rollout.state is not State.WITHDRAWING:
        raise OutOfOrder(f"a rollout that is {rollout.state} was not withdrawn", hint="withdraw it first: who, and why")
    return rollout.model_copy(update={"state": State.ROLLED_BACK})


def _require_not_ended(rollout: Standing) -> None:
    if rollout.ended:
        raise RolloutEnded(
            f"the rollout is {rollout.state}", hint="after its end: roll back to the last certified release instead"
        )


def _require_open(rollout: Standing) -> None:
    _require_not_ended(rollout)
    if rollout.state is State.WITHDRAWING:
        raise RolloutWithdrawn(
            f"{rollout.who} withdrew the rollout: {rollout.why}", hint="finish the way back; a new rollout may follow"
        )


def _require_forward(rollout: Standing, claim: Claim) -> None:
    _require_open(rollout)
    if claim.epoch != rollout.epoch:
        raise _newer(rollout, claim)
    if rollout.expired(claim.now):
        raise LeaseExpired(
            f"the lease ended {claim.now - rollout.lease_until:.1f} s ago at {rollout.exposure}%",
            hint="roll back: users are no longer exposed",
        )


def _require_passed(rollout: Standing, plan: Plan, passed: Passed | None) -> None:
    if passed is None or passed.step != rollout.step:
        raise _unproved(rollout, passed)
    if plan.asks_after(rollout.exposure) and not passed.approved:
        raise ApprovalMissing(
            f"the plan asks a person after {rollout.exposure}%", hint="approve in the run's form, or by the API"
        )


def _unproved(rollout: Standing, passed: Passed | None) -> StepNotProved:
    seen = "no GO" if passed is None else f"the GO of step {passed.step}"
    return StepNotProved(f"step {rollout.step} at {rollout.exposure}% has {seen}", hint="judge this step first")


def _newer(rollout: Standing, claim: Claim) -> NewerAttempt:
    return NewerAttempt(
        f"epoch {claim.epoch} acted on a rollout of epoch {rollout.epoch}",
        hint="stop: the newer attempt goes on with it",
    )
