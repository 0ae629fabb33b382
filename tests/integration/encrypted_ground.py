"""Tables with encrypted columns in a database of a test's own, and rows in them under keys that are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import psycopg
from psycopg import sql

from demo.customers.users import APPLICATION, OWNER, ROTATOR
from steward.clients.encrypted_rows import EncryptedRows
from steward.clients.postgres import Database, application_database
from steward.fieldcrypt import FieldCipher
from steward.fieldcrypt.framing import RowId
from steward.fieldcrypt.keyring import State
from steward.fieldcrypt.keyset import KeySet
from steward.keys.columns import EncryptedTable
from steward.keys.moving import RowMover
from steward.keys.pace import Budget, Pace
from steward.keys.sweep import Sweep, Tally, parts_of
from steward.settings import Settings
from tests.integration.fresh_database import superuser
from tests.unit.fieldcrypt.known_keys import KnownKeys, key_set

OLD, NEW = 7, 8
BEFORE = key_set("acme", {OLD: State.CURRENT, NEW: State.INCOMING})
AFTER = key_set("acme", {OLD: State.PREVIOUS, NEW: State.CURRENT})
COLUMNS = "tenant text NOT NULL, email bytea, email_index bytea, notes bytea"


def described(name: str, row_id: Sequence[str] = ("id",), **changes: Any) -> EncryptedTable:
    fields = [{"column": "email", "index": "email_index"}, {"column": "notes"}]
    told = {"name": name, "row_id": list(row_id), "tenant": "tenant", "field": fields}
    return EncryptedTable.model_validate(told | changes)


def as_rotator(settings: Settings) -> Database:
    return application_database(settings, APPLICATION)


def as_superuser(settings: Settings) -> psycopg.Connection:
    return superuser(settings, settings.applications[APPLICATION].url.rpartition("/")[2])


def lay(settings: Settings, *statements: str, open_to_rotator: Iterable[str]) -> None:
    """Run *statements* as the application's owner, and open those tables to whoever re-encrypts."""
    with as_superuser(settings) as connection:
        connection.execute(sql.SQL("GRANT ALL ON SCHEMA public TO {}").format(sql.Identifier(OWNER)))
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(OWNER)))
        for statement in statements:
            connection.execute(statement.encode())
        for table in open_to_rotator:
            grant = sql.SQL("GRANT SELECT, INSERT, UPDATE ON {} TO {}")
            connection.execute(grant.format(sql.Identifier(*table.split(".")), sql.Identifier(ROTATOR)))


def sealed(
    table: EncryptedTable, keys: KeySet, row_id: RowId, email: Any = "ada@example.net", notes: Any = None
) -> tuple[bytes | None, ...]:
    """What the application with these keys would write into the columns."""
    cipher = FieldCipher(keys.tenant, KnownKeys(keys))
    return (
        cipher.encrypt(table.name, "email", row_id, email),
        cipher.blind_index(table.name, "email", email),
        cipher.encrypt(table.name, "notes", row_id, notes),
    )


def values(rows: EncryptedRows, table: EncryptedTable, row_ids: Sequence[RowId], keys: KeySet) -> list[tuple[Any, Any]]:
    """(email, notes) of these rows as a process with *keys* reads them."""
    cipher = FieldCipher(keys.tenant, KnownKeys(keys))
    return [
        (
            cipher.decrypt(table.name, "email", row.row_id, row.sealed[0]),
            cipher.decrypt(table.name, "notes", row.row_id, row.sealed[2]),
        )
        for row in rows.by_ids(table, row_ids)
    ]


def sweep(rows: EncryptedRows, table: EncryptedTable, *, guard: Callable[[], None] = lambda: None) -> Tally:
    """One pass over the whole table."""
    swept = Sweep(
        table, frozenset({OLD.to_bytes(4, "big")}), RowMover(table, {"acme": AFTER}), Pace(Budget(0, 1e9)), guard
    )
    parts = [part for leaf in rows.leaves(table) for part in parts_of(leaf, rows.pages(leaf))]
    return sum((swept.part(rows, part) for part in parts), Tally())
