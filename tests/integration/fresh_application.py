"""A database of a test's own for the sample application, with the replica's users of it."""

from __future__ import annotations

import secrets
from collections.abc import Generator
from contextlib import contextmanager

from psycopg import sql

from demo.customers.users import APPLICATION, OWNER, ROTATOR, rotator
from steward.settings import Settings
from tests.integration.fresh_database import superuser


@contextmanager
def fresh_application(settings: Settings) -> Generator[Settings]:
    """The same settings with an empty database for the application, which is dropped afterwards."""
    name = f"test_customers_{secrets.token_hex(6)}"
    database, owner, guest = (sql.Identifier(each) for each in (name, OWNER, ROTATOR))
    with superuser(settings) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, owner))
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM public").format(database))
        connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, guest))
    told = rotator(settings)
    fresh = told.model_copy(update={"url": f"{told.url.rpartition('/')[0]}/{name}"})
    try:
        yield settings.model_copy(update={"applications": {**settings.applications, APPLICATION: fresh}})
    finally:
        # Another connection: a drill may have killed the server meanwhile.
        with superuser(settings) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))
