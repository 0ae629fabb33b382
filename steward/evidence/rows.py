"""Rows as the database gives them: a statement's, a log's entry, a checkpoint's."""

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


@dataclass(frozen=True)
class KeptCheckpoint:
    """A signed checkpoint as it is kept, and the identifier of the vault's key version that signed it."""

    size: int
    note: str
    kid: str


@dataclass(frozen=True)
class LogEntry:
    """Entry *index*, and its statement's row; None where the row is gone."""

    index: int
    row: Recorded | None

    @property
    def entry(self) -> bytes | None:
        return self.row.envelope.encode() if self.row else None
