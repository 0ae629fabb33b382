"""What a rollout came to: how far it got, what was proved at each step, and who said what on the way."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, JsonValue

from steward.rollout.analysis import StepAnalysis
from steward.rollout.preconditions import Preconditions
from steward.rollout.record import Said
from steward.rollout.request import RolloutRequest
from steward.verdicts import NotVerified, Verdict

CLAIM = (
    "before it was certified every step of exposure was passed on proof: while there were others to compare with, the exposed users "
    "were shown, for each metric of the plan, not to meet it as many times as often as the plan calls bad, by a test that is valid at every "
    "look; once all were exposed, no metric was shown to be beyond its SLO; guards held, and the bake ended"
)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Cause(StrEnum):
    """Why a rollout ended before it was certified."""

    HARM = "harm"
    """It was shown: by a test or by a guard."""
    NOT_PROVED = "not proved"
    """The deadline passed, or what was to be known was not."""
    PERSON = "person"
    """Somebody rolled it back, or did not approve."""
    LEASE = "lease"
    """Nobody was left to decide."""
    FAILED = "failed"
    """The release did not come up, or the run could not go on."""

    @property
    def verdict(self) -> Verdict:
        """A release that is not let out was refuted only if harm was shown."""
        return Verdict.REFUTED if self is Cause.HARM else Verdict.UNKNOWN


class StepOutcome(_Frozen):
    """What one step came to."""

    step: int
    exposure: int
    baking: bool = False
    begun_at: AwareDatetime
    ended_at: AwareDatetime
    looks: int
    passed: bool
    proved: bool
    """Passed and not proved: on a person's word."""
    cause: Cause | None = None
    """Of its not being passed."""
    reasons: tuple[str, ...]
    judgement: dict[str, JsonValue]
    """The last one, whole."""


class Ending(_Frozen):
    """What the flow's body came to."""

    rollout: int
    preconditions: Preconditions
    steps: tuple[StepOutcome, ...] = ()
    cause: Cause | None = None
    """None: certified."""
    why: str = ""
    not_told: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    """What was to be done after it was certified, and was not."""


class RolloutReport(_Frozen):
    """The run's result."""

    request: RolloutRequest
    period: str
    attempt: int
    verdict: Verdict
    rollout: int
    colour: str
    previous_colour: str
    previous_release: str | None
    certified: bool
    ending: Ending
    said: tuple[Said, ...]
    preconditions: Preconditions
    analysis: tuple[StepAnalysis, ...]
    withdrawn_seconds: float | None
    """From when it was taken back to the traffic's being where it was; None: it was not taken back."""
    begun_at: AwareDatetime
    exposed_at: AwareDatetime | None
    """Somebody, for the first time."""
    withdrawn_at: AwareDatetime | None = None
    withdrawn_by: str | None = None
    closed_at: AwareDatetime | None = None
    """Certified, or the traffic is back; by the database's clock, as the times before it."""
    ended_at: AwareDatetime
    """The run's work."""
    code: dict[str, str | bool | None] = {}
    host: str = "unknown"

    @property
    def findings(self) -> tuple[str, ...]:
        """What speaks against it first."""
        told = (f"{each.who} said {each.decision} at step {each.step}: {each.why}" for each in self.said)
        first = (f"{self.ending.cause}: {self.ending.why}",) if self.ending.cause else ()
        unproved = (f"step {each.exposure} % was passed without proof" for each in self.ending.steps if _unproved(each))
        return (*first, *unproved, *told, *self.ending.left, *(f"not told: {each}" for each in self.ending.not_told))


def _unproved(step: StepOutcome) -> bool:
    return step.passed and not step.proved


class RolloutNotVerified(NotVerified):
    """The release was rolled back, or is out on somebody's word."""

    def __init__(self, report: RolloutReport) -> None:
        first = next(iter(report.findings), "nothing was proved")
        where = "is out" if report.certified else "was rolled back"
        super().__init__(
            f"{report.request.release} {where} in {report.request.environment}, {report.verdict}: {first}",
            hint="read the run's artifact rollout and docs/runbooks/production-rollout.md",
            verdict=report.verdict,
            report=report,
        )


def verdict_on(ending: Ending) -> Verdict:
    """VERIFIED only where it is certified and every step was proved."""
    if ending.cause:
        return ending.cause.verdict
    return Verdict.VERIFIED if _all_proved(ending.steps) else Verdict.UNKNOWN


def _all_proved(steps: Iterable[StepOutcome]) -> bool:
    found = [step.passed and step.proved for step in steps]
    return bool(found) and all(found)
