"""Bring a database to this version's schema: whole or not at all, once at a time, as often as one likes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from steward.clients.postgres import connect
from steward.errors import BadInput
from steward.settings import Settings

#: One advisory lock serialises all migrations of a database. Chosen once, and never changed: a second number would
#: let an old and a new version migrate side by side.
ADVISORY_LOCK = 7_238_516_001
#: A migration may rewrite a table; it also waits here for another one that runs.
STATEMENT_TIMEOUT_SECONDS = 15 * 60


class DatabaseNewer(BadInput):
    """The database was migrated by a newer version of Steward."""


@dataclass(frozen=True)
class Migrated:
    """Revisions before and after; `before` is None where the database was empty."""

    before: str | None
    after: str

    @property
    def changed(self) -> bool:
        return self.before != self.after


def migrate(settings: Settings, revision: str = "head") -> Migrated:
    """Apply every missing revision up to *revision*, in one transaction.

    Raises DatabaseNewer, and what `connect` raises. Two at the same time: the second waits and finds nothing to do.
    """
    with connect(settings, statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS) as raw:
        engine = create_engine("postgresql+psycopg://", creator=lambda: raw, poolclass=NullPool)
        try:
            with engine.connect() as connection, connection.begin():
                return _upgrade(connection, revision)
        except DBAPIError as error:
            # The driver's own error, which `connect` puts into words.
            raise error.orig or error from None


def _upgrade(connection: Connection, revision: str) -> Migrated:
    connection.execute(text("SET LOCAL lock_timeout = 0"))
    # Held until the transaction ends, so a killed migration leaves neither the lock nor half a schema.
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
    # Alembic's own version table lives in the schema too, and is made before the first revision runs.
    connection.execute(text("CREATE SCHEMA IF NOT EXISTS steward"))
    before = _revision(connection)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    if before is not None and before not in _known(config):
        raise DatabaseNewer(
            f"the database is at revision {before}, which this version of Steward does not know",
            hint="run the newer version that migrated it; a schema is never taken back",
        )
    try:
        command.upgrade(config, revision)
    except CommandError as error:
        raise BadInput(f"cannot migrate to {revision}: {error}", hint="name a revision that exists, or head") from None
    after = _revision(connection)
    return Migrated(before, after or "")


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table_schema": "steward"}).get_current_revision()


def _known(config: Config) -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
