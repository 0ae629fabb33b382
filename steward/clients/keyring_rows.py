"""What the keyring's rows say, and how they change: functions over a connection, each in its caller's transaction."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import class_row

from steward.clients.keyring_errors import KeyringRefused, erased, unknown
from steward.clients.keyring_sql import ENROL, ERASE, INSERT_GENERATION, INSERT_WRAP, LAGGING, LOAD, LOCK, NEXT_NUMBER
from steward.clients.postgres import Connection
from steward.fieldcrypt.errors import TenantErased
from steward.fieldcrypt.keyring import State, Wrap, WrappedGeneration, WrappedKeys


@dataclass(frozen=True, slots=True)
class Reader:
    """A process that holds tenants' keys. Everything it holds is as new as `epoch`."""

    reader: UUID
    host: str
    pid: int
    epoch: int
    seen_at: dt.datetime


@dataclass(frozen=True, slots=True)
class NewKey:
    """A master key that has been wrapped and is in no row yet."""

    tenant: str
    key_id: int
    wrap: Wrap


def load(connection: Connection, tenant: str) -> WrappedKeys:
    rows = connection.execute(LOAD, {"tenant": tenant}).fetchall()
    if not rows:
        raise unknown(tenant)
    if rows[0][0]:
        raise erased(tenant)
    return WrappedKeys(tenant, rows[0][1], tuple(generation(row[2:]) for row in rows))


def generation(row: tuple[Any, ...]) -> WrappedGeneration:
    key_id, number, state, created_at, keks, wrapped = row
    wraps = tuple(Wrap(kek, bytes(one)) for kek, one in zip(keks, wrapped, strict=True))
    return WrappedGeneration(key_id, number, State(state), created_at, wraps)


def insert_first(connection: Connection, new: NewKey) -> None:
    # Whoever comes second waits for the first to commit, and leaves it at that: the first one's key is the tenant's.
    if connection.execute(ENROL, [new.tenant]).fetchone():
        _insert(connection, new, 1, State.CURRENT)


def insert_next(connection: Connection, new: NewKey, number: int) -> None:
    _lock(connection, new.tenant)
    # Where another has added one meanwhile, nothing.
    if connection.execute(NEXT_NUMBER, [new.tenant]).fetchone() == (number,):
        _insert(connection, new, number, State.INCOMING)


def _insert(connection: Connection, new: NewKey, number: int, state: State) -> None:
    connection.execute(INSERT_GENERATION, (new.key_id, new.tenant, number, state.value))
    connection.execute(INSERT_WRAP, (new.key_id, new.wrap.kek, new.wrap.wrapped))


def move(connection: Connection, tenant: str, key_id: int, origin: State, goal: State) -> None:
    _lock(connection, tenant)
    found = connection.execute(
        "SELECT state FROM keyring.generations WHERE tenant = %s AND key_id = %s", (tenant, key_id)
    ).fetchone()
    if found == (goal.value,):
        return
    if found != (origin.value,):
        raise KeyringRefused(
            f"key {key_id} of tenant {tenant!r} is {found[0] if found else 'not there'}, expected {origin} or {goal}",
            hint="see the tenant's generations, and docs/keyring.md for the states they go through",
        )
    if goal is State.CURRENT:
        # First, for there is never more than one.
        connection.execute(
            "UPDATE keyring.generations SET state = 'previous' WHERE tenant = %s AND state = 'current'", [tenant]
        )
    if goal is State.DESTROYED:
        connection.execute("DELETE FROM keyring.wraps WHERE key_id = %s", [key_id])
    connection.execute("UPDATE keyring.generations SET state = %s WHERE key_id = %s", (goal.value, key_id))


def erase(connection: Connection, tenant: str) -> None:
    try:
        _lock(connection, tenant)
    except TenantErased:
        return
    for statement in ERASE:
        connection.execute(statement, [tenant])


def _lock(connection: Connection, tenant: str) -> None:
    """Keep other changes of *tenant* away until the transaction ends. TenantUnknown, TenantErased."""
    found = connection.execute(LOCK, [tenant]).fetchone()
    if found is None:
        raise unknown(tenant)
    if found[0]:
        raise erased(tenant)


def lagging(connection: Connection, values: dict[str, Any]) -> tuple[Reader, ...]:
    with connection.cursor(row_factory=class_row(Reader)) as cursor:
        return tuple(cursor.execute(LAGGING, values).fetchall())


def value(connection: Connection, statement: LiteralString) -> int:
    return next(value for (value,) in connection.execute(statement).fetchall())
