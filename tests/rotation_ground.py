"""Ground for tests of the key rotation: tenants with rows under keys of their own, copied for each test.

A keyring cannot be taken back, so each test has a copy of one that was laid once. Where a test rotates the vault's key
too, it lays a ground of its own: versions that one test disables would be missing to another.
"""

from __future__ import annotations

import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import psycopg
import tomli_w
from psycopg import sql

from demo.customers.ground import lay_tables
from demo.customers.seeding import seed_customers
from demo.customers.users import APPLICATION, OWNER, ROTATOR, application_keys
from steward.clients.keyvault_versions import open_versions
from steward.clients.tenantkeys import open_tenant_keys
from steward.fieldcrypt import FieldCipher
from steward.fieldcrypt.cachepolicy import DEFAULT, CachePolicy
from steward.fieldcrypt.errors import FieldCryptError
from steward.fieldcrypt.tenantkeys import TenantKeys
from steward.migrations.apply import migrate
from steward.settings import Settings
from tests.integration.fresh_application import fresh_application
from tests.integration.fresh_database import changed, fresh_database, superuser
from tests.integration.fresh_keyring import fresh_keyring

TENANTS = ("customer-0001", "customer-0002", "customer-0003", "customer-0004")
ROWS = 60
FIELDS = ("email", "born", "notes")


class Row(NamedTuple):
    """One of the application's, as its table has it."""

    id: UUID
    tenant: str
    email: bytes | None
    email_index: bytes | None
    born: bytes | None
    notes: bytes | None


class Ground:
    """Vault, keyring, application and Steward's database of one test, and the settings file that names them."""

    def __init__(self, settings: Settings, file: Path) -> None:
        self.settings, self.file = settings, file
        self.describe(settings)

    def describe(self, settings: Settings) -> None:
        """Let what reads STEWARD_SETTINGS have these."""
        self.file.write_text(tomli_w.dumps(settings.model_dump(mode="json", exclude_none=True)))

    # What the application does and sees.

    @contextmanager
    def keys(self, policy: CachePolicy = DEFAULT) -> Generator[TenantKeys]:
        """As an application's process has them."""
        with open_tenant_keys(*application_keys(self.settings), policy) as keys:
            yield keys

    def application(self) -> psycopg.Connection:
        """The application's own database, as a superuser has it: to damage, hold and undo."""
        name = self.settings.applications[APPLICATION].url.rpartition("/")[2]
        return superuser(self.settings, name)

    def rows(self, tenant: str | None = None) -> list[Row]:
        query = "SELECT id, tenant_id, email, email_index, born, notes FROM customers ORDER BY id"
        with self.application() as connection:
            found = [Row(*row) for row in connection.execute(query).fetchall()]
        return [row for row in found if tenant in {None, row.tenant}]

    def put(self, row: Row) -> None:
        """Write *row* over the one of its id, or as a new one."""
        with self.application() as connection:
            self.write(connection, row)

    def write(self, connection: psycopg.Connection, row: Row) -> None:
        """The same in a transaction of *connection*'s."""
        connection.execute(PUT, row._asdict())

    def values(self) -> dict[UUID, Any]:
        """What each row says to a process that has just started, or the name of the error with which it does not."""
        with self.keys() as keys:
            return {row.id: tuple(_value(keys, row, field) for field in FIELDS) for row in self.rows()}

    # What became of keys.

    def states(self, tenant: str) -> list[str]:
        """Of the tenant's generations, oldest first."""
        query = "SELECT state FROM keyring.generations WHERE tenant = %s ORDER BY number"
        return [state for (state,) in self.keyring(query, tenant)]

    def key_ids(self, tenant: str) -> list[int]:
        query = "SELECT key_id FROM keyring.generations WHERE tenant = %s ORDER BY number"
        return [key_id for (key_id,) in self.keyring(query, tenant)]

    def keyring(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with superuser(self.settings, self.settings.keyring.url.rpartition("/")[2]) as connection:
            cursor = connection.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    def age(self, days: int) -> None:
        """As if so many days had passed since keys were retired: what the keyring itself lets nobody say."""
        with superuser(self.settings, self.settings.keyring.url.rpartition("/")[2]) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute(
                "UPDATE keyring.generations SET retired_at = retired_at - make_interval(days => %s)", [days]
            )

    def kek_version(self, tenant: str) -> str:
        """Which version of the vault's key wraps the tenant's newest key."""
        query = "SELECT kek FROM keyring.wraps WHERE key_id = %s ORDER BY ordinal DESC"
        return str(self.keyring(query, self.key_ids(tenant)[-1])[0][0]).rpartition("/")[2]

    def versions(self) -> dict[str, bool]:
        """Versions of the vault's key, oldest first: whether each is enabled."""
        with open_versions(self.settings.vault) as vault:
            found = vault.versions(self.settings.keyring.kek)
            newest = vault.key(self.settings.keyring.kek).kid
        # The vault tells seconds only.
        ordered = sorted(found, key=lambda one: (one.created_at, one.kid == newest))
        return {one.version: one.enabled for one in ordered}

    def everything(self) -> tuple[object, ...]:
        """All that a rotation could touch."""
        with self.application() as connection:
            rows = connection.execute("SELECT ctid::text, c.* FROM customers c ORDER BY id").fetchall()
        return (
            rows,
            self.versions(),
            self.keyring("SELECT * FROM keyring.generations ORDER BY key_id"),
            self.keyring("SELECT * FROM keyring.wraps ORDER BY ordinal"),
            self.keyring("SELECT * FROM keyring.tenants ORDER BY tenant"),
        )


PUT = """
INSERT INTO customers (id, tenant_id, plan, email, email_index, born, notes)
VALUES (%(id)s, %(tenant)s, 'free', %(email)s, %(email_index)s, %(born)s, %(notes)s)
ON CONFLICT (id) DO UPDATE SET tenant_id = excluded.tenant_id, email = excluded.email,
    email_index = excluded.email_index, born = excluded.born, notes = excluded.notes
"""


def sealed(keys: TenantKeys, tenant: str, text: str, row_id: UUID | None = None) -> Row:
    """A row that says *text* in every field, as the application with these *keys* would write it."""
    row_id, cipher = row_id or uuid4(), FieldCipher(tenant, keys)
    email, born, notes = (cipher.encrypt("customers", field, row_id, text) for field in FIELDS)
    return Row(row_id, tenant, email, cipher.blind_index("customers", "email", text), born, notes)


def opened(keys: TenantKeys, row: Row) -> tuple[Any, ...]:
    return tuple(_value(keys, row, field) for field in FIELDS)


def _value(keys: TenantKeys, row: Row, field: str) -> Any:
    try:
        return FieldCipher(row.tenant, keys).decrypt("customers", field, row.id, getattr(row, field))
    except FieldCryptError as error:
        return type(error)


@contextmanager
def laid(settings: Settings, file: Path, *, tenants: int = len(TENANTS), rows: int = ROWS) -> Generator[Ground]:
    """A ground with a vault's key of its own."""
    # Evidence without checkpoints: what the vault signs for them is no call of the rotation's.
    unsigned = changed(settings, "evidence", checkpoint_key=None, checkpoint_public_keys=None)
    with fresh_database(unsigned) as one, fresh_keyring(one) as two, fresh_application(two) as three:
        kek = f"kek-{secrets.token_hex(6)}"
        fresh = changed(three, "keyring", kek=kek)
        with open_versions(fresh.vault) as vault:
            vault.new_version(kek, {"made-by": "tests"})
        migrate(fresh)
        lay_tables(fresh)
        seed_customers(fresh, tenants, rows)
        yield Ground(fresh, file)


@contextmanager
def copied(template: Ground, file: Path) -> Generator[Ground]:
    """What *template* holds, in databases of its own; the vault is the same."""
    told = template.settings
    with (
        _copy(told, told.postgres.url, "steward") as postgres,
        _copy(told, told.keyring.url, "keyring") as keyring,
        _copy(told, told.applications[APPLICATION].url, OWNER, ROTATOR) as customers,
    ):
        own = changed(changed(told, "postgres", url=postgres), "keyring", url=keyring)
        application = told.applications[APPLICATION].model_copy(update={"url": customers})
        yield Ground(own.model_copy(update={"applications": {APPLICATION: application}}), file)


@contextmanager
def _copy(settings: Settings, url: str, owner: str, *guests: str) -> Generator[str]:
    server, _, template = url.rpartition("/")
    name = f"test_copy_{secrets.token_hex(6)}"
    with superuser(settings) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(
                *(sql.Identifier(each) for each in (name, owner, template))
            )
        )
        for guest in guests:
            connection.execute(
                sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(name), sql.Identifier(guest))
            )
    try:
        yield f"{server}/{name}"
    finally:
        with superuser(settings) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
