"""What the database keeps of costs: readings, days, the gateway's keys, statements and alerts. Functions over a connection.

Whatever is entered may be entered again: what is there stays, and is what comes back.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any, LiteralString

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from steward.clients.postgres import Connection
from steward.costs.kept import BudgetAlert, CostDay, CostStatement, KeptPage, Reading, RegisteredKey, StoredObject


def keep_reading(connection: Connection, reading: Reading, operation_id: int) -> Reading:
    """Enter it with all its pages; what comes back is the one of that name that was entered first."""
    head = reading.model_dump(exclude={"pages"})
    counted = {**head, "pages": len(reading.pages), "operation_id": operation_id}
    if connection.execute(_KEEP_READING, counted).rowcount:
        with connection.cursor() as cursor:
            cursor.executemany(_KEEP_PAGE, [{**head, **page.model_dump()} for page in reading.pages])
    return reading_named(connection, reading.account, reading.day, reading.reading) or reading


def reading_named(connection: Connection, account: str, day: dt.date, reading: str) -> Reading | None:
    """None: there is none of that name."""
    return next(iter(_readings(connection, "r.reading = %(reading)s", account=account, day=day, reading=reading)), None)


def latest_reading(connection: Connection, account: str, day: dt.date) -> Reading | None:
    """The newest by when it was read; None: the day was never read."""
    return next(iter(readings_of(connection, account, day)), None)


def readings_of(connection: Connection, account: str, day: dt.date) -> list[Reading]:
    """All of a day, the newest first."""
    return _readings(connection, "true", account=account, day=day)


def keep_day(connection: Connection, day: CostDay) -> CostDay:
    """Enter what a reading came to. One that is known already stays as it is and comes back; one that was UNKNOWN is replaced."""
    values = {
        **day.model_dump(exclude={"figures", "result"}),
        **_object(day.result),
        "figures": None if day.figures is None else Jsonb(day.figures),
    }
    connection.execute(_KEEP_DAY, values)
    return day_named(connection, day.account, day.day, day.reading) or day


def day_named(connection: Connection, account: str, day: dt.date, reading: str) -> CostDay | None:
    """None: that reading came to nothing yet."""
    rows = _rows(connection, _DAY, account=account, day=day, reading=reading)
    return _day(rows[0]) if rows else None


def latest_days(
    connection: Connection, first_day: dt.date, last_day: dt.date, account: str | None = None
) -> list[CostDay]:
    """By account and day, what its newest reading came to; of all accounts where none is named. *last_day* is one of them.

    A known one counts before an UNKNOWN one that was read later: what could not be had takes nothing back.
    """
    rows = _rows(connection, _LATEST_DAYS, first_day=first_day, last_day=last_day, account=account)
    return [_day(row) for row in rows]


def every_day(connection: Connection, account: str, first_day: dt.date, last_day: dt.date) -> list[CostDay]:
    """What every reading came to, the UNKNOWN ones too. *last_day* is one of them."""
    rows = _rows(connection, _EVERY_DAY, account=account, first_day=first_day, last_day=last_day)
    return [_day(row) for row in rows]


def enter_keys(connection: Connection, keys: Iterable[RegisteredKey]) -> None:
    """Those whose fingerprint is there already stay as they are."""
    with connection.cursor() as cursor:
        cursor.executemany(_ENTER_KEY, [key.model_dump() for key in keys])


def registered_keys(connection: Connection, account: str) -> list[RegisteredKey]:
    """All that were ever entered."""
    return [RegisteredKey.model_validate(row) for row in _rows(connection, _KEYS, account=account)]


def keep_statement(connection: Connection, statement: CostStatement) -> CostStatement:
    """Enter it; an operation states a subject's period once, and what comes back is what it stated."""
    values = {
        **statement.model_dump(exclude={"figures", "result"}),
        **_object(statement.result),
        "figures": None if statement.figures is None else Jsonb(statement.figures),
    }
    connection.execute(_KEEP_STATEMENT, values)
    (row,) = _rows(connection, _STATEMENT_OF, **values)
    return _statement(row)


def latest_statement(
    connection: Connection, subject: str, first_day: dt.date, last_day: dt.date
) -> CostStatement | None:
    """The newest of just these days."""
    rows = _rows(connection, _LATEST_STATEMENT, subject=subject, first_day=first_day, last_day=last_day)
    return _statement(rows[0]) if rows else None


def raise_alert(connection: Connection, alert: BudgetAlert) -> bool:
    """Whether it is *alert*'s operation to tell: once for each budget, month and threshold, repeats of its step included."""
    connection.execute(_RAISE_ALERT, alert.model_dump())
    (row,) = _rows(connection, _RAISED_BY, budget=alert.budget, month=alert.month, threshold=alert.threshold)
    return row["operation_id"] == alert.operation_id


def alerts_of(connection: Connection, month: dt.date) -> list[BudgetAlert]:
    """All of a month, in the order in which they were raised."""
    return [BudgetAlert.model_validate(row) for row in _rows(connection, _ALERTS, month=month)]


def _readings(connection: Connection, where: LiteralString, **values: Any) -> list[Reading]:
    found: dict[str, dict[str, Any]] = {}
    for row in _rows(connection, f"{_READINGS} AND {where} {_NEWEST_READING}", **values):
        page = KeptPage(**{name: row.pop(name) for name in KeptPage.model_fields})
        found.setdefault(row["reading"], {**row, "pages": []})["pages"].append(page)
    return [Reading.model_validate(each) for each in found.values()]


def _day(row: dict[str, Any]) -> CostDay:
    return CostDay.model_validate(_with_result(row))


def _statement(row: dict[str, Any]) -> CostStatement:
    return CostStatement.model_validate(_with_result(row))


def _with_result(row: dict[str, Any]) -> dict[str, Any]:
    result = {name: row[name] for name in StoredObject.model_fields}
    rest = {name: value for name, value in row.items() if name not in result}
    return {**rest, "result": result if result["object_key"] else None}


def _object(stored: StoredObject | None) -> dict[str, Any]:
    return stored.model_dump() if stored else dict.fromkeys(StoredObject.model_fields)


def _rows(connection: Connection, statement: LiteralString, **values: Any) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement, values).fetchall()


_KEEP_READING: LiteralString = """
INSERT INTO steward.cost_readings (account, day, reading, provider, bucket_seconds, pages, read_at, operation_id)
VALUES (%(account)s, %(day)s, %(reading)s, %(provider)s, %(bucket_seconds)s, %(pages)s, %(read_at)s, %(operation_id)s)
ON CONFLICT (account, day, reading) DO NOTHING
"""

_KEEP_PAGE: LiteralString = """
INSERT INTO steward.cost_pages (account, day, reading, report, number, sha256, object_key, version_id, bytes, read_at)
VALUES (%(account)s, %(day)s, %(reading)s, %(report)s, %(number)s, %(sha256)s, %(object_key)s, %(version_id)s, %(bytes)s,
        %(read_at)s)
"""

_READINGS: LiteralString = """
SELECT r.account, r.day, r.reading, r.provider, r.bucket_seconds, r.read_at, p.report, p.number, p.sha256, p.object_key, p.version_id, p.bytes
  FROM steward.cost_readings AS r JOIN steward.cost_pages AS p USING (account, day, reading)
 WHERE r.account = %(account)s AND r.day = %(day)s
"""
_NEWEST_READING: LiteralString = "ORDER BY r.read_at DESC, r.id DESC, p.report, p.number"

_DAY_COLUMNS: LiteralString = (
    "d.account, d.day, d.reading, d.verdict, d.figures, d.reason, d.object_key, d.version_id, d.sha256, d.operation_id"
)

_DAY: LiteralString = f"""
SELECT {_DAY_COLUMNS} FROM steward.cost_days AS d
 WHERE d.account = %(account)s AND d.day = %(day)s AND d.reading = %(reading)s
"""  # noqa: S608  this file's own words

# Entered in vain where it is known: the guard refuses to change it.
_KEEP_DAY: LiteralString = """
INSERT INTO steward.cost_days (account, day, reading, verdict, figures, reason, object_key, version_id, sha256, operation_id)
VALUES (%(account)s, %(day)s, %(reading)s, %(verdict)s, %(figures)s, %(reason)s, %(object_key)s, %(version_id)s, %(sha256)s,
        %(operation_id)s)
ON CONFLICT (account, day, reading) DO UPDATE
   SET verdict = excluded.verdict, figures = excluded.figures, reason = excluded.reason, object_key = excluded.object_key,
       version_id = excluded.version_id, sha256 = excluded.sha256, operation_id = excluded.operation_id
 WHERE cost_days.verdict = 'UNKNOWN'
"""

_LATEST_DAYS: LiteralString = f"""
SELECT DISTINCT ON (d.account, d.day) {_DAY_COLUMNS}
  FROM steward.cost_days AS d LEFT JOIN steward.cost_readings AS r USING (account, day, reading)
 WHERE d.day BETWEEN %(first_day)s AND %(last_day)s AND (%(account)s::text IS NULL OR d.account = %(account)s)
 ORDER BY d.account, d.day, d.verdict = 'UNKNOWN', r.read_at DESC NULLS LAST, r.id DESC, d.entered_at DESC
"""  # noqa: S608  this file's own words

_EVERY_DAY: LiteralString = f"""
SELECT {_DAY_COLUMNS} FROM steward.cost_days AS d
 WHERE d.account = %(account)s AND d.day BETWEEN %(first_day)s AND %(last_day)s ORDER BY d.day, d.entered_at, d.reading
"""  # noqa: S608  this file's own words

_ENTER_KEY: LiteralString = """
INSERT INTO steward.provider_keys (account, fingerprint, key_id, project)
VALUES (%(account)s, %(fingerprint)s, %(key_id)s, %(project)s) ON CONFLICT (account, fingerprint) DO NOTHING
"""

_KEYS: LiteralString = """
SELECT account, fingerprint, key_id, project FROM steward.provider_keys WHERE account = %(account)s
 ORDER BY first_seen, fingerprint
"""

_KEEP_STATEMENT: LiteralString = """
INSERT INTO steward.cost_statements (subject, first_day, last_day, verdict, figures, object_key, version_id, sha256, operation_id)
VALUES (%(subject)s, %(first_day)s, %(last_day)s, %(verdict)s, %(figures)s, %(object_key)s, %(version_id)s, %(sha256)s,
        %(operation_id)s)
ON CONFLICT (operation_id, subject, first_day, last_day) DO NOTHING
"""

_STATEMENTS: LiteralString = """
SELECT subject, first_day, last_day, verdict, figures, object_key, version_id, sha256, operation_id
  FROM steward.cost_statements
 WHERE subject = %(subject)s AND first_day = %(first_day)s AND last_day = %(last_day)s
"""
_STATEMENT_OF: LiteralString = f"{_STATEMENTS} AND operation_id = %(operation_id)s"
_LATEST_STATEMENT: LiteralString = f"{_STATEMENTS} ORDER BY id DESC LIMIT 1"

_RAISE_ALERT: LiteralString = """
INSERT INTO steward.budget_alerts (budget, month, threshold, scope, subject, limit_usd, amount_usd, hard_stop, operation_id)
VALUES (%(budget)s, %(month)s, %(threshold)s, %(scope)s, %(subject)s, %(limit_usd)s, %(amount_usd)s, %(hard_stop)s,
        %(operation_id)s)
ON CONFLICT (budget, month, threshold) DO NOTHING
"""

_RAISED_BY: LiteralString = """
SELECT operation_id FROM steward.budget_alerts
 WHERE budget = %(budget)s AND month = %(month)s AND threshold = %(threshold)s
"""

_ALERTS: LiteralString = """
SELECT budget, month, threshold, scope, subject, limit_usd, amount_usd, hard_stop, operation_id
  FROM steward.budget_alerts WHERE month = %(month)s ORDER BY raised_at, budget, threshold
"""
