"""The durable store: SQLite with a write-ahead log and a sync at each commit, so that what was acknowledged is there after
`kill -9` and after a loss of power.

Each thread has a connection of its own; writers wait for one another, readers wait for nobody.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

from replica.keyvault.objects import Objects
from replica.keyvault.records import Kind

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL COLLATE NOCASE,
    current TEXT NOT NULL,
    details TEXT NOT NULL,
    deleted_at INTEGER,
    purge_at INTEGER,
    settles_at REAL NOT NULL DEFAULT 0,
    UNIQUE (kind, name)
);
CREATE TABLE IF NOT EXISTS versions (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    object INTEGER NOT NULL REFERENCES objects (id) ON DELETE CASCADE,
    version TEXT NOT NULL,
    material BLOB NOT NULL,
    details TEXT NOT NULL,
    tags TEXT,
    enabled INTEGER NOT NULL,
    not_before INTEGER,
    expires INTEGER,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    digest BLOB NOT NULL,
    UNIQUE (object, version)
);
"""


class Store:
    """One vault's objects in *path*. *transition_seconds* is how long deletions and recoveries take to come through."""

    def __init__(self, path: Path, *, transition_seconds: float = 0, now: Callable[[], float] = time.time) -> None:
        self._path, self._transition_seconds, self._now = path, transition_seconds, now
        self._mine = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._writing = threading.Lock()
        # Made closed before anything is in it: SQLite gives its log and index files the same mode.
        path.touch(mode=0o600)
        self._connection().executescript(_SCHEMA)
        with self.writing(Kind.KEY):
            pass  # what was to be purged while no process ran is purged

    @contextlib.contextmanager
    def reading(self, kind: Kind) -> Generator[Objects]:
        """Objects of *kind* as they are at one moment."""
        connection = self._connection()
        connection.execute("BEGIN")
        try:
            yield self._objects(connection, kind)
        finally:
            connection.rollback()

    @contextlib.contextmanager
    def writing(self, kind: Kind) -> Generator[Objects]:
        """Objects of *kind* to be changed: all of it is durable when the block is left, or, by an exception, none."""
        connection = self._connection()
        with self._writing:
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute("DELETE FROM objects WHERE purge_at <= ?", [int(self._now())])
                yield self._objects(connection, kind)
                connection.commit()
            except BaseException:
                # A commit that met a full disk too: the thread's next transaction must find none open.
                connection.rollback()
                raise

    def close(self) -> None:
        """Close the connections of all threads."""
        for connection in self._all:
            connection.close()

    def _objects(self, connection: sqlite3.Connection, kind: Kind) -> Objects:
        return Objects(connection, kind, self._now(), self._transition_seconds)

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._mine, "connection", None)
        if connection is None:
            connection = self._open()
            self._mine.connection = connection
            self._all.append(connection)
        return connection

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
            connection.execute(f"PRAGMA {pragma}")
        return connection
