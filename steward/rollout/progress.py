"""How far a rollout is, while its run is at it."""

from __future__ import annotations

from steward.errors import StewardError
from steward.rollout.errors import LeaseExpired, RolloutEnded, RolloutWithdrawn
from steward.rollout.preconditions import Preconditions
from steward.rollout.record import FLOW, GUARDIAN, FlagTaken, Rollout
from steward.rollout.report import Cause, Ending, StepOutcome


class NotPassed(StewardError):
    """A step is over, and the release is not to go on."""

    def __init__(self, outcome: StepOutcome) -> None:
        first = outcome.reasons[0] if outcome.reasons else "no reason is known"
        super().__init__(f"at {outcome.exposure} %: {first.removeprefix(f'{outcome.cause}: ')}")
        self.outcome = outcome


class SoFar:
    """What is known of one rollout until it ends."""

    def __init__(self, rollout: int, preconditions: Preconditions) -> None:
        self._rollout, self._preconditions = rollout, preconditions
        self._steps: list[StepOutcome] = []
        self.cause: Cause | None = None
        """Why it goes back; None: it does not."""
        self.why = ""

    def passed(self, outcome: StepOutcome) -> None:
        """Raises NotPassed where it is not."""
        self._steps.append(outcome)
        if not outcome.passed:
            raise NotPassed(outcome)

    @property
    def on_whose_word(self) -> str | None:
        """Who let steps go on that were not proved."""
        overridden = [each.judgement.get("overridden") for each in self._steps if not each.proved]
        names = {str(each["who"]): None for each in overridden if isinstance(each, dict)}
        return ", ".join(names) or None

    def stopped_by(self, error: Exception) -> None:
        """From here it goes back."""
        self.cause, self.why = _cause_of(error)

    def taken_back(self, rollout: Rollout) -> None:
        """Whoever was first is named: a person, or the guardian, whatever this run found out after that."""
        if rollout.who and rollout.who != FLOW:
            self.cause = Cause.LEASE if rollout.who == GUARDIAN else Cause.PERSON
            self.why = f"{rollout.who}: {rollout.why}"

    @property
    def is_surprised(self) -> bool:
        """Nobody decided that it goes back: where it happened is worth knowing."""
        return self.cause is Cause.FAILED

    def ending(self, not_told: tuple[str, ...], left: tuple[str, ...]) -> Ending:
        """It is over."""
        return Ending(
            rollout=self._rollout,
            preconditions=self._preconditions,
            steps=tuple(self._steps),
            cause=self.cause,
            why=self.why,
            not_told=not_told,
            left=left,
        )


def _cause_of(error: Exception) -> tuple[Cause, str]:
    told = error.message if isinstance(error, StewardError) else f"{type(error).__name__}: {error}"
    match error:
        case NotPassed():
            return error.outcome.cause or Cause.NOT_PROVED, told
        case LeaseExpired():
            return Cause.LEASE, told
        case RolloutWithdrawn() | RolloutEnded() | FlagTaken():
            return Cause.PERSON, told
        case _:
            return Cause.FAILED, told
