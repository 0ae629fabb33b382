"""The ledger's side of what is expected: since when, what it holds of each period, and what enters it as missed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from psycopg.types.json import Jsonb

from steward.operations.expectations import Expectation, Known
from steward.operations.ledger import Ledger, Row


def expected_since(ledger: Ledger, expectation: Expectation) -> datetime:
    """Since when it is expected under this schedule: from now on, where that is new."""
    (row,) = ledger.query(_SINCE, cron=expectation.cron, period=expectation.period, **_named(expectation))
    return row["since"]


def known_periods(ledger: Ledger, expectation: Expectation, ticks: Iterable[datetime]) -> dict[str, Known]:
    """What the ledger holds of the periods that begin at *ticks*."""
    periods = [expectation.period_of(tick) for tick in ticks]
    rows = ledger.query(_KNOWN, periods=periods, **_named(expectation))
    return {row["period"]: Known(row["state"], row["attempt"], row["due_at"], row["began_at"]) for row in rows}


def enter_missed(ledger: Ledger, expectation: Expectation, tick: datetime, state: str) -> bool:
    """Record a missed period as `due` or `skipped`. False: a run or another watch was faster."""
    return bool(
        ledger.query(
            _ENTER,
            period=expectation.period_of(tick),
            resource=expectation.resource,
            state=state,
            due_at=tick,
            parameters=Jsonb(expectation.parameters),
            reason=f"missed; its policy is {expectation.catch_up}" if state == "skipped" else None,
            **_named(expectation),
        )
    )


def _named(expectation: Expectation) -> Row:
    return {"name": expectation.name, "subject": expectation.subject}


_SINCE = """
INSERT INTO steward.operation_expectations AS x (name, subject, cron, period)
VALUES (%(name)s, %(subject)s, %(cron)s, %(period)s)
ON CONFLICT (name, subject) DO UPDATE
   SET since = CASE WHEN (x.cron, x.period) = (excluded.cron, excluded.period) THEN x.since ELSE clock_timestamp() END,
       cron = excluded.cron, period = excluded.period
RETURNING since
"""

_KNOWN = """
SELECT period, state, attempt, due_at, began_at FROM steward.operations
 WHERE name = %(name)s AND subject = %(subject)s AND period = ANY(%(periods)s)
"""

_ENTER = """
INSERT INTO steward.operations AS o (name, subject, period, resource, state, due_at, parameters, error, ended_at)
VALUES (%(name)s, %(subject)s, %(period)s, %(resource)s, %(state)s, %(due_at)s, %(parameters)s, %(reason)s,
        CASE WHEN %(state)s = 'skipped' THEN clock_timestamp() END)
ON CONFLICT (name, subject, period) DO UPDATE
   SET state = excluded.state, error = excluded.error, ended_at = excluded.ended_at
 WHERE o.state = 'due' AND o.attempt = 0 AND o.due_at = excluded.due_at AND excluded.state = 'skipped'
RETURNING id
"""
