"""What the ledger of attempts knows of the providers' keys: who uses which, and what is under way under one."""

from __future__ import annotations

import datetime as dt
from typing import Any, LiteralString, NamedTuple

from steward.clients.postgres import Connection


class Meanwhile(NamedTuple):
    """Attempts of an account since a moment."""

    attempts: int
    refused: int
    """Of them, that the provider answered 401."""


def clock(connection: Connection) -> dt.datetime:
    """The ledger's own."""
    return _one(connection, "SELECT clock_timestamp()", {})[0]


def installation(connection: Connection) -> str:
    """The name of this ledger, made with the database."""
    return str(_one(connection, "SELECT id FROM steward.log", {})[0])


def living_workers(connection: Connection) -> tuple[str, ...]:
    """The gateway's, by the names that they were given."""
    return tuple(name for (name,) in connection.execute(_LIVING).fetchall())


def lagging_workers(connection: Connection, account: str, fingerprint: str) -> tuple[str, ...]:
    """Living ones that tell of another key of *account*, or do not tell at all; whoever serves no route of it is none."""
    rows = connection.execute(_LAGGING, {"account": account, "fingerprint": fingerprint}).fetchall()
    return tuple(
        f"{name} ({told or 'does not tell'}, begun {began:%Y-%m-%d %H:%M:%S} UTC)" for name, told, began in rows
    )


def open_attempts(connection: Connection, account: str, fingerprint: str) -> int:
    """Attempts of *account* that are under way, or may yet be sent, under any other key."""
    return _one(connection, _OPEN, {"account": account, "fingerprint": fingerprint})[0]


def meanwhile(connection: Connection, account: str, since: dt.datetime, but: str) -> Meanwhile:
    """Since then; refusals of the key with the fingerprint *but* are not counted."""
    return Meanwhile(*_one(connection, _MEANWHILE, {"account": account, "since": since, "but": but}))


def _one(connection: Connection, statement: LiteralString, values: dict[str, Any]) -> Any:
    return connection.execute(statement, values).fetchone()


_ALIVE: LiteralString = "w.ended_at IS NULL AND NOT steward.expired(w.lease_until, w.lease)"

_LIVING: LiteralString = f"SELECT w.name FROM steward.ai_workers AS w WHERE {_ALIVE} ORDER BY w.name"  # noqa: S608  this file's own words

# NULL is a worker of a version that does not tell.
_LAGGING: LiteralString = f"""
SELECT w.name, w.credentials ->> %(account)s, w.began_at AT TIME ZONE 'UTC' FROM steward.ai_workers AS w
 WHERE {_ALIVE} AND (w.credentials IS NULL OR w.credentials ->> %(account)s <> %(fingerprint)s) ORDER BY w.name
"""  # noqa: S608  this file's own words

_OPEN: LiteralString = """
SELECT count(*) FROM steward.ai_attempts
 WHERE state IN ('reserved', 'sent') AND account = %(account)s AND credential_version <> %(fingerprint)s
"""

_MEANWHILE: LiteralString = """
SELECT count(*), count(*) FILTER (WHERE http_status = 401 AND credential_version <> %(but)s) FROM steward.ai_attempts
 WHERE account = %(account)s AND reserved_at >= %(since)s
"""
