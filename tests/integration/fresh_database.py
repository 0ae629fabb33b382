"""A database of a test's own, in the replica's PostgreSQL: evidence cannot be deleted, so tests do not share it."""

from __future__ import annotations

import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from steward.settings import Settings


def superuser(settings: Settings, database: str = "postgres") -> psycopg.Connection:
    """The replica's superuser, whose password lies beside that of Steward's own user."""
    secret = Path(settings.postgres.password.removeprefix("file:")).with_name("postgres.superuser")
    server = conninfo_to_dict(settings.postgres.url)
    return psycopg.connect(
        host=server["host"],
        port=server["port"],
        user="postgres",
        password=secret.read_text().strip(),
        dbname=database,
        autocommit=True,
    )


@contextmanager
def fresh_database(settings: Settings) -> Generator[Settings]:
    """The same settings with a new, empty database, which is dropped afterwards."""
    name = sql.Identifier(f"test_{secrets.token_hex(6)}")
    with superuser(settings) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER steward").format(name))
    try:
        yield changed(settings, "postgres", url=_url(settings, name.as_string().strip('"')))
    finally:
        # Another connection: a drill may have killed the server meanwhile.
        with superuser(settings) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def changed(settings: Settings, part: str, **values: object) -> Settings:
    """*settings* with some values of one part replaced."""
    return settings.model_copy(update={part: getattr(settings, part).model_copy(update=values)})


def _url(settings: Settings, database: str) -> str:
    server = conninfo_to_dict(settings.postgres.url)
    return f"postgresql://{server['user']}@{server['host']}:{server['port']}/{database}"
