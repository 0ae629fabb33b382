"""The ledger's hours in its database: surveyed, closed, and entered as sealed. Functions over a connection."""

from __future__ import annotations

import datetime as dt
from typing import Any, LiteralString

from psycopg import errors as pg
from psycopg.rows import dict_row

from steward.ai.sealing import CheckedHour, ClosedHour, Figures, SealedHour, StoredHour, Survey, WaitingHour
from steward.ai.usage import CLASSES
from steward.clients.postgres import Connection

#: Reading an hour of millions takes its time.
READ_SECONDS = 600


def survey(connection: Connection) -> Survey:
    """What there is to seal, by the database's clock."""
    (row,) = _rows(connection, _SURVEY)
    return Survey.model_validate(row)


def close_hour(connection: Connection, hour: dt.datetime) -> WaitingHour | None:
    """Let nothing come to *hour* any more; a reason where it has open attempts or is not over. Twice is harmless.

    Waits for whoever is writing into the hour in this moment. One way: what is closed is never opened.
    """
    try:
        with connection.transaction():
            connection.execute(_CLOSE, {"hour": hour})
    except pg.RestrictViolation as error:
        return WaitingHour(hour=hour, reason=error.diag.message_primary or "the database refuses")
    return None


def closed_hour(connection: Connection, hour: dt.datetime) -> ClosedHour:
    """What a closed hour has, by the database's own sums."""
    (named,) = _rows(connection, _NAMED, hour=hour)
    states = {row.pop("state"): row for row in _rows(connection, _FIGURES, hour=hour)}
    return ClosedHour(
        hour=hour,
        **named,
        rows=sum(row["rows"] for row in states.values()),
        states={name: Figures(rows=row.pop("rows"), sums=row) for name, row in states.items()},
    )


def sealed_hour(connection: Connection, hour: dt.datetime) -> SealedHour | None:
    """None: it is not sealed."""
    rows = _rows(connection, _SEALED, hour=hour)
    return SealedHour.model_validate(rows[0]) if rows else None


def keep_sealed(
    connection: Connection, stored: StoredHour, manifest_sha256: str, operation_id: int
) -> SealedHour | None:
    """Enter it, for ever; None where another edition of it is, or was, entered."""
    closed = stored.closed
    values = {
        "hour": closed.hour,
        "edition": closed.edition,
        "rows": closed.rows,
        "object_key": closed.object_key,
        "version_id": stored.version_id,
        "sha256": stored.sha256,
        "bytes": stored.bytes,
        "manifest_key": closed.manifest_key,
        "manifest_sha256": manifest_sha256,
        "operation_id": operation_id,
    }
    connection.execute(_KEEP, values)
    found = sealed_hour(connection, closed.hour)
    return found if found and found.manifest_sha256 == manifest_sha256 else None


def discard_edition(connection: Connection, checked: CheckedHour) -> None:
    """The next try takes another name: what lies under this one is locked, and is not the hour. Twice is harmless."""
    closed = checked.stored.closed
    connection.execute(_DISCARD, {"hour": closed.hour, "edition": closed.edition})


def _rows(connection: Connection, statement: LiteralString, **values: Any) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement, values).fetchall()


_SURVEY: LiteralString = """
SELECT clock_timestamp() AS now, (SELECT min(reserved_at) FROM steward.ai_attempts) AS oldest,
       (SELECT max(hour) FROM steward.ai_hours WHERE sealed_at IS NOT NULL) AS last_sealed
"""

_CLOSE: LiteralString = """
INSERT INTO steward.ai_hours (hour) SELECT %(hour)s
 WHERE NOT EXISTS (SELECT FROM steward.ai_hours WHERE hour = %(hour)s)
ON CONFLICT DO NOTHING
"""

_NAMED: LiteralString = """
SELECT edition, (SELECT id FROM steward.log) AS ledger FROM steward.ai_hours WHERE hour = %(hour)s
"""

_SUMS: LiteralString = ", ".join(f"coalesce(sum({name}), 0)::bigint AS {name}" for name in CLASSES)  # pyright: ignore[reportAssignmentType]

_FIGURES: LiteralString = f"""
SELECT state, count(*) AS rows, {_SUMS} FROM steward.ai_attempts
 WHERE reserved_at >= %(hour)s AND reserved_at < %(hour)s::timestamptz + interval '1 hour' GROUP BY state ORDER BY state
"""  # noqa: S608  made of the ledger's own names

_SEALED: LiteralString = """
SELECT hour, rows, object_key, version_id, sha256, bytes, manifest_key, manifest_sha256 FROM steward.ai_hours
 WHERE hour = %(hour)s AND sealed_at IS NOT NULL
"""

_KEEP: LiteralString = """
UPDATE steward.ai_hours
   SET rows = %(rows)s, object_key = %(object_key)s, version_id = %(version_id)s, sha256 = %(sha256)s, bytes = %(bytes)s,
       manifest_key = %(manifest_key)s, manifest_sha256 = %(manifest_sha256)s, operation_id = %(operation_id)s,
       sealed_at = clock_timestamp()
 WHERE hour = %(hour)s AND edition = %(edition)s AND sealed_at IS NULL
"""

_DISCARD: LiteralString = """
UPDATE steward.ai_hours SET edition = edition + 1
 WHERE hour = %(hour)s AND edition = %(edition)s AND sealed_at IS NULL
"""
