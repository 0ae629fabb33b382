"""A rollout as it is recorded: how far it is, and until when it may expose anybody."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, JsonValue

from steward.errors import BadInput
from steward.rollout.plan import Plan
from steward.rollout.state import ENDED, State

#: Who withdraws a rollout where nobody is left to decide.
GUARDIAN = "guardian"
#: Who does where its own run decides.
FLOW = "production-rollout"

Saying = Literal["approve", "override", "roll_back"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rollout(_Frozen):
    """One row, as it was read. Times are the database's."""

    id: int
    operation_id: int
    environment: str
    release: str
    flag: str
    variant: str
    """What users are exposed to."""
    plan: Plan
    state: State
    step: int
    """Of the plan's, from 1; 0: nobody is exposed yet."""
    exposure: int
    """Per cent of users."""
    step_begun_at: AwareDatetime
    epoch: int
    """The fencing token of the attempt that may act for it."""
    lease_seconds: float
    lease_until: AwareDatetime
    lease_left: float
    """Seconds from when the row was read; negative: it has expired."""
    colour: str
    previous_colour: str
    previous_release: str | None
    slow_ms: float | None
    """Slower than that is slow: the baseline's p95, frozen before anybody was exposed."""
    who: str | None
    """Withdrew it."""
    why: str | None
    withdrawn_at: AwareDatetime | None
    begun_at: AwareDatetime
    exposed_at: AwareDatetime | None
    ended_at: AwareDatetime | None

    @property
    def withdrawn_seconds(self) -> float | None:
        """From when it was taken back to the traffic's being where it was; None: it was not, or is not yet."""
        if self.withdrawn_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.withdrawn_at).total_seconds()

    @property
    def has_lapsed(self) -> bool:
        """Its lease is over: it is to be withdrawn, by whoever sees it."""
        return self.state not in ENDED and self.lease_left <= 0

    def __str__(self) -> str:
        return f"rollout {self.id} of {self.release} in {self.environment}"


class Release(_Frozen):
    """A release that was put somewhere by a rollout."""

    environment: str
    release: str
    colour: str
    placed_at: AwareDatetime
    rollout: int
    certified_at: AwareDatetime | None
    certified_by: str | None
    """On whose word, where not every step was proved; None: it was."""
    revoked_at: AwareDatetime | None
    revoked_why: str | None

    @property
    def may_be_returned_to(self) -> bool:
        """Certified, and not taken back since."""
        return self.certified_at is not None and self.revoked_at is None


class Said(_Frozen):
    """What a person decided about a step."""

    step: int
    decision: Saying
    who: str
    why: str
    via: str
    at: AwareDatetime


class Judged(_Frozen):
    """One look, as it is kept."""

    step: int
    at: AwareDatetime
    decision: str
    judgement: dict[str, JsonValue]


class RolloutUnderWay(BadInput):
    """Another rollout of the environment is under way."""


class FlagTaken(BadInput):
    """The flag is not there for the rollout: a person killed it, another has it, or it has no such variant."""


class NoRollout(BadInput):
    """There is no such rollout."""
