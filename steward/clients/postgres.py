"""PostgreSQL: Steward's own database, the keyring's and applications': connections with time limits, and their errors in words."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg.conninfo import conninfo_to_dict

from steward.clients.secrets import read_secret
from steward.errors import BadInput, StewardError, Unavailable
from steward.settings import Keyring, SecretRef, Settings, Vault

#: A server that accepts no connection in this time is away; a failover takes longer, and is waited for by retries.
CONNECT_TIMEOUT_SECONDS = 5
#: The longest statement here appends one row; whoever needs longer (a migration) says so.
STATEMENT_TIMEOUT_SECONDS = 30
LOCK_TIMEOUT_SECONDS = 10
#: Unacknowledged data for this long means that the peer or the network is gone: a partition must not hang a flow.
TCP_USER_TIMEOUT_SECONDS = 15

Connection = psycopg.Connection[tuple[Any, ...]]

# A failed connect carries no SQLSTATE in psycopg 3, only the server's text. A server whose messages are not English
# is therefore reported as unavailable, with that text; it is wrong about the cure only, not about the fact.
_REFUSALS = (
    "password authentication failed",
    "no pg_hba.conf entry",
    "role ",
    "authentication failed",
    "permission denied for database",
)

# Classes of SQLSTATE that waiting may cure: connection, rollback (deadlock), resources (disk, memory, connections),
# intervention (shutdown, time-outs), system; and a lock that was not given in time.
_PASSING = ("08", "40", "53", "57", "58", "55P03")


@dataclass(frozen=True, slots=True)
class Database:
    """One database as the settings name it."""

    part: str
    """The table of the settings file, for messages."""
    schema: str
    """Which schema of ours it has; empty: it is an application's."""
    url: str
    password: SecretRef
    vault: Vault | None
    """Where the password lies, if not in a file."""


def keyring_database(keyring: Keyring, vault: Vault | None) -> Database:
    """The keyring's, which applications reach without the rest of the settings."""
    return Database("keyring", "keyring", keyring.url, keyring.password, vault)


def application_database(settings: Settings, name: str) -> Database:
    """The database of the application that the settings call *name*. BadInput names the ones there are."""
    if name not in settings.applications:
        raise BadInput(
            f"unknown application {name!r}; known: {', '.join(sorted(settings.applications)) or 'none'}",
            hint=f"add [applications.{name}] to the settings file",
        )
    told = settings.applications[name]
    return Database(f"applications.{name}", "", told.url, told.password, settings.vault)


def _database(where: Settings | Database) -> Database:
    if isinstance(where, Database):
        return where
    return Database("postgres", "steward", where.postgres.url, where.postgres.password, where.vault)


class DatabaseUnavailable(Unavailable):
    """PostgreSQL does not answer, is starting or stopping, or gave up on a statement."""


class DatabaseRefused(BadInput):
    """PostgreSQL answers, and refuses this user, password or database."""


class DatabaseNotMigrated(BadInput):
    """The database lacks tables of this version of Steward."""


class DatabaseUrlUnusable(BadInput):
    """The URL in the settings is no URL of a PostgreSQL database, or holds a password."""


@contextmanager
def connect(
    where: Settings | Database, *, statement_timeout_seconds: int = STATEMENT_TIMEOUT_SECONDS
) -> Generator[Connection]:
    """A connection in one transaction, to Steward's own database where settings are given: committed when the block
    ends, rolled back when it raises.

    The password is read here, from its reference, and kept nowhere. Raises DatabaseUnavailable (transient),
    DatabaseRefused, DatabaseNotMigrated or DatabaseUrlUnusable; the body's other psycopg errors pass as they are.
    """
    connection = open_connection(where, statement_timeout_seconds=statement_timeout_seconds)
    with worded(where), connection:
        yield connection


@contextmanager
def worded(where: Settings | Database) -> Generator[None]:
    """Raise psycopg's errors of the block as ours, where they are ours to explain; others pass as they are."""
    try:
        yield
    except psycopg.Error as error:
        if explained := _in_words(error, _database(where)):
            raise explained from error
        raise


def open_connection(
    where: Settings | Database,
    *,
    statement_timeout_seconds: int = STATEMENT_TIMEOUT_SECONDS,
    tcp_user_timeout_seconds: int = TCP_USER_TIMEOUT_SECONDS,
    autocommit: bool = False,
    application_name: str = "steward",
) -> Connection:
    """A connection for whoever keeps it: closing it, and wording its errors with `worded`, is theirs."""
    database = _database(where)
    _target(database)
    password = _password(database)
    try:
        return psycopg.connect(
            database.url,
            autocommit=autocommit,
            password=password,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            application_name=application_name,
            tcp_user_timeout=tcp_user_timeout_seconds * 1000,
            options=(
                f"-c statement_timeout={statement_timeout_seconds}s -c lock_timeout={LOCK_TIMEOUT_SECONDS}s "
                f"-c idle_in_transaction_session_timeout={statement_timeout_seconds}s"
            ),
        )
    except psycopg.Error as error:
        # Not chained: a traceback of libpq's call would be stored by Prefect, and the call holds the password.
        raise _refused_or_away(str(error), database) from None


def _password(database: Database) -> str:
    """As it is now. A vault that is away keeps a database away that is opened with its secret, as long as it is."""
    try:
        return read_secret(database.password, database.vault)
    except Unavailable as error:
        raise DatabaseUnavailable(
            f"PostgreSQL at {_target(database)} cannot be opened, for its password lies in a vault: {error.message}",
            hint=error.hint,
        ) from None


def _target(database: Database) -> str:
    """HOST:PORT/DATABASE of its URL, for messages. The URL itself is never echoed: it may hold a password."""
    try:
        parts = conninfo_to_dict(database.url)
    except psycopg.Error:
        raise DatabaseUrlUnusable(
            f"{database.part}.url in the settings cannot be read", hint="expected postgresql://user@host:port/database"
        ) from None
    if parts.get("password"):
        raise DatabaseUrlUnusable(
            f"{database.part}.url in the settings holds a password",
            hint=f"put the password into a file or the vault, and let {database.part}.password name it",
        )
    host, port, name = (parts.get(key) for key in ("host", "port", "dbname"))
    return f"{host or 'localhost'}:{port or 5432}/{name or ''}"


def _refused_or_away(text: str, database: Database) -> StewardError:
    target, part = _target(database), database.part
    reason = text.strip().splitlines()[0]
    _, fatal, told = reason.partition("FATAL:")
    if fatal and (told.strip().startswith(_REFUSALS) or "does not exist" in told):
        return DatabaseRefused(
            f"PostgreSQL at {target} refuses: {told.strip()}",
            hint=f"check user and database in {part}.url, and the secret that {part}.password names",
        )
    return DatabaseUnavailable(
        f"PostgreSQL at {target} is not available: {reason}", hint="see whether it runs and can be reached from here"
    )


def _in_words(error: psycopg.Error, database: Database) -> StewardError | None:
    target = _target(database)
    if not database.schema and isinstance(error, pg.UndefinedTable | pg.InvalidSchemaName | pg.UndefinedColumn):
        return DatabaseRefused(
            f"database {target} lacks what {database.part}.encrypted names: {error.diag.message_primary}",
            hint="compare the file of encrypted columns with the application's migrations",
        )
    if isinstance(error, pg.UndefinedTable | pg.InvalidSchemaName | pg.UndefinedColumn | pg.UndefinedFunction):
        return DatabaseNotMigrated(
            f"database {target} lacks what this version needs: {error.diag.message_primary}",
            hint="run: python -m steward migrate",
        )
    if isinstance(error, pg.InsufficientPrivilege):
        return DatabaseRefused(
            f"PostgreSQL at {target} refuses: {error.diag.message_primary}",
            hint=f"the user in {database.part}.url must own the schema {database.schema}"
            if database.schema
            else f"the user in {database.part}.url needs SELECT, INSERT and UPDATE on the tables of encrypted columns",
        )
    if _may_pass(error):
        reason = error.diag.message_primary or str(error).strip()
        return DatabaseUnavailable(
            f"PostgreSQL at {target} gave up: {reason}", hint="see its log; the statement was rolled back"
        )
    return None


def _may_pass(error: psycopg.Error) -> bool:
    # A connection that broke has no SQLSTATE.
    return isinstance(error, psycopg.OperationalError) and (not error.sqlstate or error.sqlstate.startswith(_PASSING))
