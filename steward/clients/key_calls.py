"""The journal of key calls: one row a call of the vault, committed before the call leaves.

The vault's own log tells what was done; the journal tells on whose behalf, by the same request id. What is in one and
not in the other is somebody else's doing under Steward's name, or a call that never arrived.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, LiteralString, TypeVar
from uuid import uuid4

from psycopg.rows import kwargs_row
from pydantic import JsonValue

from steward.clients import key_calls_sql as sql
from steward.clients.connections import KeptConnections
from steward.clients.keyvault_errors import VaultUnavailable
from steward.clients.postgres import Connection, DatabaseUnavailable, open_connection, worded
from steward.keys.actions import Action
from steward.keys.calls import KeyCall, Note, as_figure, key_calls
from steward.settings import Settings

#: One row, by its key. A database that needs longer is away, and the call is not made.
LIMIT_SECONDS = 5.0
#: Threads of a process that announce calls at the same moment; more of them take turns.
MOST_CONNECTIONS = 8
#: A connection that a restart of the server broke says so at once; what takes longer is an outage.
_BROKEN_WITHIN_SECONDS = 1.0
#: How long after its announcement a version may still come to be: longer than its caller waits for the answer
#: (`keyvault_versions.CREATE_SECONDS`), and than a vault is known to work on it.
IN_FLIGHT_SECONDS = 10.0

T = TypeVar("T")


class CreationInFlight(VaultUnavailable):
    """Another attempt's new version is on its way, or was when that attempt died: it is waited for, not doubled."""


class KeyJournal:
    """Keeps its connections; safe to use from several threads, and after a fork.

    Raises DatabaseUnavailable (transient), DatabaseRefused or DatabaseNotMigrated: then nothing was announced for sure,
    and the call must not be made.
    """

    def __init__(self, settings: Settings, note: Note) -> None:
        self._settings, self._note = settings, note
        self._connections = KeptConnections(self._open, most=MOST_CONNECTIONS, wait_seconds=LIMIT_SECONDS)

    def close(self) -> None:
        """Close every connection."""
        self._connections.close()

    def announce(self, action: Action) -> str:
        """The request id under which *action* may be asked for, once: a second try is another call.

        CreationInFlight for a new version of a key, inside `creating`, where another may be on its way.
        """
        row = _row(action, self._note)
        since = _creating.get()
        if since is None or action.operation != "KeyCreate":
            self._ask(lambda connection: connection.execute(sql.ANNOUNCE, row))
        elif not self._ask(lambda connection: _announce_alone(connection, {**row, "since": since})):
            raise CreationInFlight(
                f"another attempt has asked for a new version of key {action.name} within {IN_FLIGHT_SECONDS:g} s",
                hint="it is looked for again until then",
            )
        return str(row["request_id"])

    @contextmanager
    def creating(self) -> Generator[None]:
        """For a block that looks whether a version is there and asks for it if not: at most one may ask.

        All that others asked for until shortly before the block is there to be seen in it; a call that was announced
        later makes `announce` refuse. So a version is not made twice for two attempts that did not see each other.
        """
        moment: datetime = self._ask(lambda connection: _value(connection, sql.NOW))
        token = _creating.set(moment)
        try:
            yield
        finally:
            _creating.reset(token)

    def _ask(self, work: Callable[[Connection], T]) -> T:
        """*work*'s result; once more where a kept connection was broken. All work here may be done twice."""
        began = time.monotonic()
        try:
            return self._once(work)
        except DatabaseUnavailable:
            if time.monotonic() - began > _BROKEN_WITHIN_SECONDS:
                raise
        return self._once(work)

    def _once(self, work: Callable[[Connection], T]) -> T:
        with self._connections.one(LIMIT_SECONDS) as connection, worded(self._settings):
            return work(connection)

    def _open(self) -> Connection:
        return open_connection(
            self._settings,
            autocommit=True,
            statement_timeout_seconds=int(LIMIT_SECONDS),
            tcp_user_timeout_seconds=int(LIMIT_SECONDS),
            application_name="steward-key-calls",
        )


_creating: ContextVar[datetime | None] = ContextVar("creating", default=None)


def summary(connection: Connection, operation_id: int) -> dict[str, JsonValue]:
    """What a statement of the operation says of its calls until now, in all its attempts: the figure `key_calls`."""
    return as_figure(key_calls(_settled(connection, sql.OF_OPERATION, operation_id), operation=operation_id))


def summary_of_command(connection: Connection, command: str) -> dict[str, JsonValue]:
    """The same for a command."""
    return as_figure(key_calls(_settled(connection, sql.OF_COMMAND, command), command=command))


def list_calls(connection: Connection) -> Iterator[KeyCall]:
    """Every row, in the order of their ids."""
    with connection.cursor(row_factory=kwargs_row(_call)) as cursor:
        yield from cursor.stream(sql.ALL)


def _settled(connection: Connection, wanted: LiteralString, value: object) -> list[KeyCall]:
    # Without rows in the making, whose ids may be lower than those that are there: `through` would speak for them too.
    # The lock goes with the block's end, whatever transaction that is in.
    with connection.transaction(force_rollback=True), connection.cursor(row_factory=kwargs_row(_call)) as cursor:
        cursor.execute(sql.LOCK)
        return cursor.execute(wanted, [value]).fetchall()


def _announce_alone(connection: Connection, row: dict[str, Any]) -> bool:
    with connection.transaction():
        connection.execute(sql.ALONE, [f"new version of {row['name']}"])
        connection.execute(sql.ANNOUNCE_ALONE, {**row, "in_flight": IN_FLIGHT_SECONDS})
        # Asked, since an insert that is sent again inserts nothing either.
        return bool(_value(connection, sql.ANNOUNCED, row))


def _row(action: Action, note: Note) -> dict[str, Any]:
    return {
        "request_id": uuid4(),
        "operation_id": note.operation_id,
        "command": note.command,
        "action": action.operation,
        "name": action.name,
        "version": action.version,
        "purpose": note.purpose,
    }


def _call(**row: Any) -> KeyCall:
    note = Note(row["purpose"], row["operation_id"], row["command"])
    action = Action(row["action"], row["name"], row["version"])
    return KeyCall(row["id"], row["request_id"], action, note, row["noted_at"])


def _value(connection: Connection, query: LiteralString, row: dict[str, Any] | None = None) -> Any:
    found = connection.execute(query, row).fetchone()
    return found[0] if found else None
