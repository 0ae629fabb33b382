"""The dead man's switch: when an operation was last VERIFIED, and who has been told that it is too long ago."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from steward.operations.expectations import Expectation
from steward.operations.ledger import Ledger, Row

_NAMESPACE = uuid.UUID("6f6d1d0c-2a3b-5e0e-9d0a-0f2d8a0f6b11")
_REPEATED_EVERY = timedelta(days=1)


@dataclass(frozen=True)
class Watched:
    """An operation with a dead man's switch, as far as it is known. It holds too while the database is away."""

    expectation: Expectation
    since: datetime
    """Since when it is expected."""
    verified_at: datetime | None
    """When it last ended VERIFIED."""


@dataclass(frozen=True)
class Assessment:
    """Whether the switch has fired; `day` counts whole days since it did."""

    is_overdue: bool
    day: int
    told: str


def assess(watched: Watched, now: datetime) -> Assessment:
    """Overdue is what was not VERIFIED for its hours, or never since it is expected."""
    hours = watched.expectation.verified_within_hours
    if hours is None:
        return Assessment(is_overdue=False, day=0, told="")
    since = watched.verified_at or watched.since
    age = now - since
    last = f"last VERIFIED at {watched.verified_at:%Y-%m-%d %H:%M %Z}" if watched.verified_at else "never VERIFIED"
    told = (
        f"{watched.expectation} was {last}; expected within {hours:g} h, {age.total_seconds() / 3600:.1f} h have passed"
    )
    late = age - timedelta(hours=hours)
    return Assessment(is_overdue=late > timedelta(0), day=max(0, late // _REPEATED_EVERY), told=told)


def last_verified(ledger: Ledger, expectation: Expectation) -> datetime | None:
    """When an operation of this name and subject last ended VERIFIED."""
    (row,) = ledger.query(_VERIFIED, name=expectation.name, subject=expectation.subject)
    return row["verified_at"]


def record_alarm(ledger: Ledger, watched: Watched, assessment: Assessment) -> bool:
    """Record what has to be told: that it is overdue, once and then daily; that it is well again, once.

    False: it was recorded before, by whatever watch, or there is nothing to tell.
    """
    expectation = watched.expectation
    what = f"overdue {assessment.day}" if assessment.is_overdue else "recovered"
    values = {
        "id": uuid.uuid5(_NAMESPACE, f"{expectation}|{what}|{watched.verified_at or watched.since}"),
        "name": expectation.name,
        "subject": expectation.subject,
        "event": f"{expectation.event}.{what.partition(' ')[0]}",
        "overdue": assessment.is_overdue,
        "told": Jsonb(_payload(watched, assessment)),
    }
    return bool(ledger.query(_RECORD, **values))


def _payload(watched: Watched, assessment: Assessment) -> dict[str, Any]:
    return {
        "operation": watched.expectation.name,
        "subject": watched.expectation.subject,
        "verified_at": watched.verified_at.isoformat() if watched.verified_at else None,
        "expected_within_hours": watched.expectation.verified_within_hours,
        "message": assessment.told,
    }


def unsent_alarms(ledger: Ledger) -> list[Row]:
    """What Prefect has not taken yet, oldest first: id, name, subject, event, told, occurred_at."""
    return ledger.query(_UNSENT)


def mark_sent(ledger: Ledger, alarm_id: uuid.UUID) -> None:
    ledger.query(_SENT, id=alarm_id)


_VERIFIED = """
SELECT max(ended_at) AS verified_at FROM steward.operations
 WHERE name = %(name)s AND subject = %(subject)s AND state = 'done' AND verdict = 'VERIFIED'
"""

# It is well again only for whoever was told otherwise.
_RECORD = """
INSERT INTO steward.operation_alarms (id, name, subject, event, overdue, told)
SELECT %(id)s, %(name)s, %(subject)s, %(event)s, %(overdue)s, %(told)s
 WHERE %(overdue)s OR (SELECT overdue FROM steward.operation_alarms
                        WHERE name = %(name)s AND subject = %(subject)s ORDER BY occurred_at DESC LIMIT 1)
ON CONFLICT (id) DO NOTHING
RETURNING id
"""

_UNSENT = "SELECT * FROM steward.operation_alarms WHERE sent_at IS NULL ORDER BY occurred_at LIMIT 20"

_SENT = "UPDATE steward.operation_alarms SET sent_at = clock_timestamp() WHERE id = %(id)s"
