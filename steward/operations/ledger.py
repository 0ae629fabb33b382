"""The ledger's database as one process sees it: kept connections, and patience with a database that is away."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, LiteralString

from psycopg.rows import dict_row

from steward.clients.postgres import Connection, DatabaseUnavailable, open_connection, worded
from steward.settings import Settings

Row = dict[str, Any]

#: How long a step waits for the database. A failover takes less; a longer outage is for people.
PATIENCE_SECONDS = 120.0
#: Every statement of the ledger touches a few rows by their key.
STATEMENT_TIMEOUT_SECONDS = 5
#: A peer that is silent for this long is gone: well inside a lease, so that a failover costs no operation.
TCP_USER_TIMEOUT_SECONDS = 5
#: Steps of one process that talk to the ledger at the same moment; more of them take turns.
MOST_CONNECTIONS = 8
_LONGEST_PAUSE_SECONDS = 2.0


class Ledger:
    """Statements against the ledger, each safe to send again when its answer was lost.

    Connections are kept: a new one costs more than both round trips of a step. They are not psycopg_pool's, whose
    reconnection backs off and kept a step waiting 23 s after the database was back.
    """

    def __init__(self, settings: Settings, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.settings = settings
        self.patience_seconds = patience_seconds
        # By process: a forked child must not share its parent's sockets.
        self._idle: defaultdict[int, list[Connection]] = defaultdict(list)
        self._turns = threading.BoundedSemaphore(MOST_CONNECTIONS)
        # When it is forgotten, or the process ends: nobody else knows of them.
        weakref.finalize(self, _close, self._idle, os.getpid())

    def query(self, sql: LiteralString, **values: Any) -> list[Row]:
        """Run one statement in a transaction of its own; its rows, if it returns any.

        Waits for a database that is away, and raises DatabaseUnavailable after `patience_seconds`. Raises
        DatabaseRefused and DatabaseNotMigrated at once.
        """
        give_up, pause = time.monotonic() + self.patience_seconds, 0.05
        while True:
            try:
                return self._once(sql, values)
            except DatabaseUnavailable:
                if time.monotonic() > give_up:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def close(self) -> None:
        """Close this process's idle connections."""
        _close(self._idle, os.getpid())

    def _once(self, sql: LiteralString, values: Row) -> list[Row]:
        with self._connection() as connection, worded(self.settings), connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def _connection(self) -> Generator[Connection]:
        with self._turns:
            idle = self._idle[os.getpid()]
            connection = idle.pop() if idle else self._open()
            try:
                yield connection
            finally:
                if connection.closed:
                    # What broke one connection has as a rule broken its neighbours: each would cost a try.
                    self.close()
                else:
                    self._idle[os.getpid()].append(connection)

    def _open(self) -> Connection:
        return open_connection(
            self.settings,
            autocommit=True,
            statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
            tcp_user_timeout_seconds=TCP_USER_TIMEOUT_SECONDS,
            application_name="steward-ledger",
        )


def _close(idle: defaultdict[int, list[Connection]], process: int) -> None:
    for connection in idle.pop(process, []):
        connection.close()
