"""The ledger's side of what is expected: since when, what it holds of each period, and what enters it as missed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from psycopg.types.json import Jsonb

from steward.operations.expectations import Expectation, Known
from steward.operations.ledger import Ledger, Row


def expected_since(ledger: Ledger, expectation: Expectation) -> datetime:
    """Since when it is expected under this schedule: from now on, where that is new."""
    values = {"cron": expectation.cron, "period": expectation.period, **_named(expectation)}
    # Another watch may have entered it in this very moment: then the first statement neither enters nor sees it.
    rows = ledger.query(_SINCE, **values) or ledger.query(_SINCE, **values)
    return rows[0]["since"]


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


# Writes nothing where nothing is new: it is asked every few seconds.
_SINCE = """
WITH entered AS (
    INSERT INTO steward.operation_expectations AS x (name, subject, cron, period)
    VALUES (%(name)s, %(subject)s, %(cron)s, %(period)s)
    ON CONFLICT (name, subject) DO UPDATE
       SET since = clock_timestamp(), cron = excluded.cron, period = excluded.period
     WHERE (x.cron, x.period) <> (excluded.cron, excluded.period)
    RETURNING since
)
SELECT since FROM entered
UNION ALL
SELECT since FROM steward.operation_expectations
 WHERE name = %(name)s AND subject = %(subject)s AND NOT EXISTS (SELECT FROM entered)
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
