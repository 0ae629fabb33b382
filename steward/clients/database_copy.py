"""Databases for one run of the pipeline: of its own name, and gone when it is over, however it ends.

Whoever has them holds a lock of the server's as long as its connection lives. So a run that finds databases whose lock is
free knows that their owner is dead, and drops them; another run's it leaves alone.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from urllib.parse import quote, urlencode

from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import InsufficientPrivilege

from steward.clients.postgres import Connection, Database, DatabaseUnavailable, connect, open_connection, worded
from steward.clients.secrets import read_secret
from steward.errors import BadInput

#: Copying a database from a template takes as long as its files; a run's is small.
STATEMENT_SECONDS = 300
#: A migration that waits longer for a lock waits for itself: nobody else is in its database.
LOCK_SECONDS = 10
_NAME = "^pipeline_[0-9]+_[0-9]+_[a-z]+$"
# Of our locks among others of the server.
_LOCKS = 7_310_311


class MayNotCreate(BadInput):
    """The user that the settings name may not create databases."""

    def __init__(self, told: str) -> None:
        super().__init__(
            f"PostgreSQL refuses a database to try migrations on: {told}",
            hint="let the user of url in [pipeline.database] create databases: ALTER ROLE … CREATEDB",
        )


class Copies:
    """The databases of one attempt at one operation. Made by `copies`."""

    def __init__(self, database: Database, db: Connection, owner: str) -> None:
        self._database, self._db, self.owner = database, db, owner
        self._password = read_secret(database.password, database.vault)

    def create(self, purpose: str, *, seconds: float, template: str = "template0") -> str:
        """A database for *purpose*, one word, as *template* is now; its name. Statements in it are ended after *seconds*."""
        name = f"{self.owner}_{purpose}"
        with worded(self._database):
            # Nobody may be in a template while it is copied; who is left there is a command's that has been ended.
            self._db.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [template]
            )
            _drop(self._db, name)
            self._create(name, template)
            # Of the database, not of a URL: every driver obeys it.
            for limit, value in (("statement_timeout", max(1, int(seconds))), ("lock_timeout", LOCK_SECONDS)):
                limited = sql.SQL("ALTER DATABASE {} SET {} = {}")
                self._db.execute(limited.format(sql.Identifier(name), sql.Identifier(limit), sql.Literal(f"{value}s")))
        return name

    def _create(self, name: str, template: str) -> None:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8'")
        try:
            self._db.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
        except InsufficientPrivilege as refused:
            raise MayNotCreate(str(refused.diag.message_primary)) from None

    @contextmanager
    def connected(self, name: str) -> Generator[Connection]:
        """A connection to the database *name*, in one transaction. Raises as `steward.clients.postgres.connect`."""
        there = replace(self._database, url=make_conninfo(self._database.url, dbname=name))
        with connect(there, statement_timeout_seconds=STATEMENT_SECONDS) as db:
            yield db

    def url(self, name: str) -> str:
        """For a command's environment. It holds the password, which is to be struck out of whatever the command says."""
        told = conninfo_to_dict(self._database.url)
        user, host, port = (str(told.pop(key, None) or default) for key, default in _DEFAULTS)
        told.pop("dbname", None)
        more = urlencode({key: str(value) for key, value in told.items() if value})
        place = f"{quote(user, safe='')}:{quote(self._password, safe='')}@{host}:{port}/{name}"
        return f"postgresql://{place}{f'?{more}' if more else ''}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no command may be heard to say: the password, as it is and as a URL has it."""
        return self._password, quote(self._password, safe="")

    def ensure_held(self) -> None:
        """Raise DatabaseUnavailable (transient) where the server was away meanwhile: what a command found then says nothing."""
        with worded(self._database):
            self._db.execute("SELECT")


_DEFAULTS = (("user", "postgres"), ("host", "localhost"), ("port", "5432"))


@contextmanager
def copies(database: Database, operation: int, token: int) -> Generator[Copies]:
    """Databases for this attempt at this operation: dropped at the end, with those that dead attempts left behind."""
    owner = f"pipeline_{operation}_{token}"
    db = open_connection(
        database, statement_timeout_seconds=STATEMENT_SECONDS, autocommit=True, application_name=f"steward {owner}"
    )
    with db:
        with worded(database):
            db.execute("SELECT pg_advisory_lock(hashtextextended(%s, %s))", [owner, _LOCKS])
            drop_leftovers(db, owner)
        try:
            yield Copies(database, db, owner)
        finally:
            # A server that is away keeps them until the next run: this one's own error is worth more.
            with suppress(DatabaseUnavailable), worded(database):
                for name in _names(db):
                    if _owner(name) == owner:
                        _drop(db, name)


def drop_leftovers(db: Connection, mine: str) -> list[str]:
    """Drop what attempts left behind that are dead, but for *mine*; the names."""
    dropped: list[str] = []
    names = _names(db)
    for owner in sorted({_owner(name) for name in names} - {mine}):
        row = db.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, %s))", [owner, _LOCKS]).fetchone()
        if not (row and row[0]):
            continue
        for name in names:
            if _owner(name) == owner:
                _drop(db, name)
                dropped.append(name)
        db.execute("SELECT pg_advisory_unlock(hashtextextended(%s, %s))", [owner, _LOCKS])
    return dropped


def _names(db: Connection) -> list[str]:
    query = "SELECT datname FROM pg_database WHERE datname ~ %s AND datdba = current_user::regrole ORDER BY 1"
    return [str(row[0]) for row in db.execute(query, [_NAME]).fetchall()]


def _owner(name: str) -> str:
    return name.rpartition("_")[0]


def _drop(db: Connection, name: str) -> None:
    db.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
