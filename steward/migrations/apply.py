"""Bring a database to this version's schema: whole or not at all, once at a time, as often as one likes.

There are two, with a history each: Steward's own, and the keyring, which is backed up and restored apart from it.
"""

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

from steward.clients.postgres import Database, connect, keyring_database
from steward.errors import BadInput
from steward.migrations.guests import grant_guests
from steward.settings import Settings

#: One advisory lock serialises all migrations of a database. Chosen once, and never changed: a second number would
#: let an old and a new version migrate side by side.
ADVISORY_LOCK = 7_238_516_001
#: A migration may rewrite a table; it also waits here for another one that runs.
STATEMENT_TIMEOUT_SECONDS = 15 * 60


#: The user of applications, to whom the keyring's first revision grants what they may. Never its owner.
READER = "keyring_reader"

_FOLDER = Path(__file__).parent


class DatabaseNewer(BadInput):
    """The database was migrated by a newer version of Steward."""


class ReaderMissing(BadInput):
    """The keyring's server has no user for applications."""


@dataclass(frozen=True)
class _History:
    """One schema and the folder of its revisions."""

    schema: str
    versions: Path


_STEWARD = _History("steward", _FOLDER / "versions")
_KEYRING = _History("keyring", _FOLDER / "keyring")


@dataclass(frozen=True)
class Migrated:
    """Revisions before and after; `before` is None where the database was empty."""

    before: str | None
    after: str

    @property
    def changed(self) -> bool:
        return self.before != self.after


def migrate(settings: Settings, revision: str = "head") -> Migrated:
    """Apply every missing revision of Steward's own schema up to *revision*, in one transaction.

    Raises DatabaseNewer, and what `connect` raises. Two at the same time: the second waits and finds nothing to do.
    """
    return _migrate(settings, _STEWARD, revision)


def migrate_keyring(settings: Settings, revision: str = "head") -> Migrated:
    """The same for the keyring, as the user that owns it. ReaderMissing where nothing could be granted to applications."""
    if settings.keyring is None:
        raise BadInput("the settings name no keyring", hint="add [keyring]; see docs/keyring.md")
    return _migrate(keyring_database(settings.keyring, settings.vault), _KEYRING, revision)


def _migrate(where: Settings | Database, history: _History, revision: str) -> Migrated:
    with connect(where, statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS) as raw:
        engine = create_engine("postgresql+psycopg://", creator=lambda: raw, poolclass=NullPool)
        try:
            with engine.connect() as connection, connection.begin():
                return _upgrade(connection, history, revision)
        except DBAPIError as error:
            # The driver's own error, which `connect` puts into words.
            raise error.orig or error from None


def _upgrade(connection: Connection, history: _History, revision: str) -> Migrated:
    connection.execute(text("SET LOCAL lock_timeout = 0"))
    # Held until the transaction ends, so a killed migration leaves neither the lock nor half a schema.
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
    if history is _KEYRING:
        _require_reader(connection)
    # Alembic's own version table lives in the schema too, and is made before the first revision runs.
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {history.schema}"))
    before = _revision(connection, history)
    config = _config(connection, history)
    if before is not None and before not in _known(config):
        raise DatabaseNewer(
            f"the database is at revision {before}, which this version of Steward does not know",
            hint="run the newer version that migrated it; a schema is never taken back",
        )
    try:
        command.upgrade(config, revision)
    except CommandError as error:
        raise BadInput(f"cannot migrate to {revision}: {error}", hint="name a revision that exists, or head") from None
    if history is _STEWARD:
        grant_guests(connection)
    after = _revision(connection, history)
    return Migrated(before, after or "")


def _config(connection: Connection, history: _History) -> Config:
    config = Config()
    for name, path in (("script_location", _FOLDER), ("version_locations", history.versions)):
        config.set_main_option(name, str(path).replace("%", "%%"))
    # A path may hold any other separator.
    config.set_main_option("path_separator", "newline")
    config.attributes.update(connection=connection, schema=history.schema)
    return config


def _require_reader(connection: Connection) -> None:
    if connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": READER}).first() is None:
        raise ReaderMissing(
            f"the keyring's server has no user {READER}, as whom applications read it",
            hint=f"CREATE ROLE {READER} LOGIN PASSWORD '…'; GRANT CONNECT ON DATABASE keyring TO {READER}; then migrate",
        )


def _revision(connection: Connection, history: _History) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table_schema": history.schema})
    return context.get_current_revision()


def _known(config: Config) -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
