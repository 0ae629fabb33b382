"""Whether a step is over: what was judged of it, and what people said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from steward.rollout.judge import Decision, Judgement
from steward.rollout.plan import Plan
from steward.rollout.record import Said
from steward.rollout.report import Cause


class Asks(StrEnum):
    """What a person is asked."""

    APPROVAL = "approval"
    """It is proved, and the plan wants a person's word besides."""
    OVERRIDE = "override"
    """It cannot be proved before its deadline, for too few users come."""


@dataclass(frozen=True)
class Standing:
    """Of one step after one look."""

    passed: bool = False
    cause: Cause | None = None
    """Why it is over without being passed."""
    reasons: tuple[str, ...] = ()
    asks: Asks | None = None

    @property
    def ends(self) -> bool:
        """No further look follows."""
        return self.passed or self.cause is not None


def stands(judgement: Judgement, plan: Plan, told: Iterable[Said], step: int) -> Standing:
    """Where *step* stands after *judgement*. A person's way back goes before everything, harm before approval."""
    of_step = [each for each in told if each.step == step]
    if back := next((each for each in of_step if each.decision == "roll_back"), None):
        return Standing(cause=Cause.PERSON, reasons=(f"{back.who} rolled it back: {back.why}", *judgement.reasons))
    if judgement.decision is Decision.ROLL_BACK:
        return Standing(cause=Cause.HARM if judgement.shows_harm else Cause.NOT_PROVED, reasons=judgement.reasons)
    if judgement.decision is not Decision.GO:
        return Standing(reasons=judgement.reasons, asks=Asks.OVERRIDE if judgement.too_little else None)
    wants = plan.asks_after(judgement.exposure) and not judgement.baking
    approval = next((each for each in of_step if each.decision == "approve"), None)
    if wants and approval is None:
        if judgement.at >= judgement.deadline_at:
            return Standing(
                cause=Cause.NOT_PROVED, reasons=("nobody approved it before the deadline", *judgement.reasons)
            )
        return Standing(reasons=judgement.reasons, asks=Asks.APPROVAL)
    approved = (f"{approval.who} approved: {approval.why}",) if wants and approval else ()
    return Standing(passed=True, reasons=(*judgement.reasons, *approved))
