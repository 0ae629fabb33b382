"""A statement's row, as the database gives it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from steward.verdicts import Verdict


@dataclass(frozen=True)
class Recorded:
    """One row: what a statement is about, and the envelope as it was signed."""

    id: int
    operation: str
    subject: str
    period: str
    attempt: int
    verdict: Verdict
    digest: str
    key_id: str
    envelope: str
    recorded_at: datetime


def recorded(**columns: Any) -> Recorded:
    verdict = Verdict(columns.pop("verdict"))
    return Recorded(verdict=verdict, **columns)
