"""Customers in any number, as if the application had written them: encrypted, indexed, those of all tenants side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Engine

from demo.customers.enrolment import enrol, tenant_names
from demo.customers.ground import lay_tables, opened
from demo.customers.rows import add_members, add_orders
from demo.customers.users import application_keys, database, owner
from demo.customers.values import Values, drawn
from steward.clients.postgres import Connection, open_connection
from steward.clients.tenantkeys import open_tenant_keys
from steward.errors import BadInput
from steward.fieldcrypt import FieldCipher
from steward.fieldcrypt.tenantkeys import TenantKeys
from steward.settings import Settings

TABLE = "customers"
#: Rows of one transaction: what a killed seeding loses, and what another does again.
CHUNK = 10_000
#: Customers of each tenant who have ordered.
_ORDERING = 5
_STATEMENT_SECONDS = 600
_PLANS = ("free", "silver", "gold")
_COLUMNS = ("id", "tenant_id", "plan", "email", "email_index", "born", "notes")
_TYPES = ("uuid", "text", "text", "bytea", "bytea", "bytea", "bytea")


class Row(NamedTuple):
    """Before it is encrypted."""

    id: UUID
    tenant: str
    plan: str
    values: Values


def seed_customers(settings: Settings, tenants: int, rows: int, *, seed: int = 0) -> list[str]:
    """Give *tenants* tenants *rows* customers in all, a few orders and two members each; the names of those tenants.

    Lays the tables, enrols the tenants and the golden one. Run again with the same numbers, it creates what is missing
    and changes nothing; what the application has changed since stays so. Raises BadInput, and what vault, keyring and
    database raise.
    """
    if tenants < 1 or rows < 0:
        raise BadInput(f"asked for {rows} rows of {tenants} tenants", hint="at least one tenant, and no rows or more")
    lay_tables(settings)
    names = tenant_names(tenants)
    alive = enrol(settings, names)
    first = _copy_all(settings, names, set(alive), rows, seed)
    with opened(settings) as engine:
        add_members(engine, alive)
        _add_orders(engine, alive, first)
    return alive


def seeded(tenants: Sequence[str], rows: int, seed: int = 0) -> Iterator[list[Row]]:
    """The rows that a seeding makes, in chunks. The tenants take turns: side by side in every page of the table."""
    for start in range(0, rows, CHUNK):
        chance = Random(f"customers {seed} {len(tenants)} {start}")
        numbers = range(start, min(start + CHUNK, rows))
        yield [_row(chance, tenants[number % len(tenants)]) for number in numbers]


def _row(chance: Random, tenant: str) -> Row:
    return Row(UUID(int=chance.getrandbits(128), version=4), tenant, chance.choice(_PLANS), drawn(chance, tenant))


def _copy_all(settings: Settings, names: list[str], alive: set[str], rows: int, seed: int) -> list[Row]:
    """Whatever is missing; the first chunk's rows, whether they were or not."""
    first: list[Row] = []
    target = database(owner(settings), settings)
    connection = open_connection(target, autocommit=True, statement_timeout_seconds=_STATEMENT_SECONDS)
    with connection, open_tenant_keys(*application_keys(settings)) as keys:
        fresh = connection.execute(f"SELECT 1 FROM {TABLE} LIMIT 1").fetchone() is None  # noqa: S608
        for chunk in seeded(names, rows, seed):
            mine = [row for row in chunk if row.tenant in alive]
            first = first or mine
            _copy(connection, keys, mine if fresh else _missing(connection, mine))
        # Whoever reads the whole table next does not pay for having been the first, and statements are planned by its size.
        connection.execute(f"VACUUM (ANALYZE) {TABLE}")
    return first


def _missing(connection: Connection, rows: list[Row]) -> list[Row]:
    ids = [row.id for row in rows]
    there = {found for (found,) in connection.execute(f"SELECT id FROM {TABLE} WHERE id = ANY(%s)", [ids])}  # noqa: S608
    return [row for row in rows if row.id not in there]


def _copy(connection: Connection, keys: TenantKeys, rows: list[Row]) -> None:
    ciphers = {tenant: FieldCipher(tenant, keys) for tenant in {row.tenant for row in rows}}
    statement = f"COPY {TABLE} ({', '.join(_COLUMNS)}) FROM STDIN (FORMAT binary)"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(_TYPES)
        for row in rows:
            copy.write_row(_sealed(ciphers[row.tenant], row))


def _sealed(cipher: FieldCipher, row: Row) -> tuple[Any, ...]:
    email, born, notes = row.values
    return (
        row.id,
        row.tenant,
        row.plan,
        cipher.encrypt(TABLE, "email", row.id, email),
        cipher.blind_index(TABLE, "email", email),
        cipher.encrypt(TABLE, "born", row.id, born),
        cipher.encrypt(TABLE, "notes", row.id, notes),
    )


def _add_orders(engine: Engine, tenants: Sequence[str], rows: list[Row]) -> None:
    ordering: dict[str, list[str]] = {tenant: [] for tenant in tenants}
    for row in rows:
        if len(ordering[row.tenant]) < _ORDERING:
            ordering[row.tenant].append(str(row.id))
    for tenant, customers in ordering.items():
        add_orders(engine, tenant, customers)
