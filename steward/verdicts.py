"""Three verdicts, never two."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from steward.errors import StewardError


class Verdict(StrEnum):
    """What a check found. UNKNOWN is never green and never deletes anything."""

    VERIFIED = "VERIFIED"
    """It was checked, and it is right."""
    REFUTED = "REFUTED"
    """It was checked, and it is wrong."""
    UNKNOWN = "UNKNOWN"
    """It could not be checked: missing, stale, NaN or zero-traffic data included."""


def combine(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on a whole from those on its parts: one REFUTED refutes, no part at all is UNKNOWN."""
    found = set(verdicts)
    if Verdict.REFUTED in found:
        return Verdict.REFUTED
    return Verdict.VERIFIED if found == {Verdict.VERIFIED} else Verdict.UNKNOWN


class NotVerified(StewardError):
    """An operation ran to its end and came to a verdict that is not VERIFIED: a finding, and no failure to find.

    `report` is what it came to, as the operation's result is when it is VERIFIED.
    """

    def __init__(self, message: str, *, hint: str = "", verdict: Verdict = Verdict.REFUTED, report: Any = None) -> None:
        super().__init__(message, hint=hint)
        self.verdict = verdict
        self.report = report
