"""A keyring of a test's own, in the replica's PostgreSQL: tenants and generations cannot be deleted."""

from __future__ import annotations

import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from steward.migrations.apply import READER, migrate_keyring
from steward.settings import Keyring, Settings, read_secret
from tests.integration.fresh_database import changed, superuser


@contextmanager
def empty_keyring(settings: Settings) -> Generator[Settings]:
    """The same settings with an empty database for the keyring, which is dropped afterwards."""
    name = f"test_keyring_{secrets.token_hex(6)}"
    with superuser(settings) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER keyring").format(sql.Identifier(name)))
    try:
        yield changed(settings, "keyring", url=f"{settings.keyring.url.rpartition('/')[0]}/{name}")
    finally:
        with superuser(settings) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def fresh_keyring(settings: Settings) -> Generator[Settings]:
    """The same, migrated."""
    with empty_keyring(settings) as fresh:
        migrate_keyring(fresh)
        yield fresh


def as_reader(keyring: Keyring) -> Keyring:
    """What an application's settings say of *keyring*."""
    password = Path(keyring.password.removeprefix("file:")).with_name(f"postgres.{READER}")
    return keyring.model_copy(
        update={"url": keyring.url.replace("//keyring@", f"//{READER}@"), "password": f"file:{password}"}
    )


def connect(keyring: Keyring) -> psycopg.Connection:
    """A plain connection as the user that *keyring* names: for what no client of ours would send."""
    return psycopg.connect(**conninfo_to_dict(keyring.url), password=read_secret(keyring.password), autocommit=True)
