"""Why the ledger refuses: each says who holds what, and what to do."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from steward.errors import BadInput, StewardError
from steward.verdicts import Verdict


class Refused(StewardError):
    """The ledger does not let this go on; waiting inside the run does not change it."""


class NoOperation(Refused):
    """A step was called outside of any operation."""


class Held(Refused):
    """Another run is at work on the same operation, or on its resource."""


class Superseded(Refused):
    """This process no longer holds the operation; a newer attempt does."""


class TurnedBack(Refused):
    """The operation is being undone: no forward step begins."""


class DeadlinePassed(Refused):
    """The operation is past its deadline: no forward step begins."""


class StepChanged(Refused):
    """A step came back with other arguments than those that are recorded under its name."""


class StepRepeated(Refused):
    """Two calls of one step in one attempt, which its key does not tell apart."""


class InDoubt(Refused):
    """A step was begun by an earlier try, and only a person can say whether its effect happened."""


class AlreadyEnded(Refused):
    """The operation has ended and is not begun again."""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        operation_id: int = 0,
        state: str = "",
        verdict: Verdict | None = None,
        result: Any = None,
        ended_at: datetime | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.operation_id = operation_id
        self.state = state
        self.verdict = verdict
        self.result = result
        self.ended_at = ended_at


class EffectRefused(StewardError):
    """For a step's body to raise: the other side said no, so its effect certainly did not happen."""


class ResultTooLarge(StewardError):
    """A step's result is names, references and small values."""


class UnknownOperation(BadInput):
    """The ledger holds no such operation or step."""
