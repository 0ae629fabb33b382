"""Connections of the gateway's event loop to Steward's database."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from steward.clients.postgres import (
    CONNECT_TIMEOUT_SECONDS,
    _database,
    _password,
    _refused_or_away,
    _target,
)
from steward.settings import Settings

#: A peer that is silent for this long is gone.
_TCP_USER_TIMEOUT_SECONDS = 5
#: By the server, which so gives up a statement before the client gives up the connection.
STATEMENT_TIMEOUT_SECONDS = 5


async def open_for_attempts(settings: Settings) -> AsyncConnection[dict[str, Any]]:
    """A connection on which every statement is a transaction. Raises as `steward.clients.postgres.open_connection`."""
    database = _database(settings)
    _target(database)
    # In a thread: the password may lie in a vault, whose client blocks.
    password = await asyncio.to_thread(_password, database)
    try:
        return await AsyncConnection[dict[str, Any]].connect(
            database.url,
            autocommit=True,
            row_factory=dict_row,
            password=password,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            application_name="steward-attempts",
            tcp_user_timeout=_TCP_USER_TIMEOUT_SECONDS * 1000,
            options=(
                f"-c statement_timeout={STATEMENT_TIMEOUT_SECONDS}s -c lock_timeout={STATEMENT_TIMEOUT_SECONDS}s "
                # An acknowledged row is on disk: whoever restarts the database finds it.
                "-c synchronous_commit=on "
                # Statements here touch rows by their ids. Their plans are kept, and one that was made while the table was
                # small would read all of it for each row, long after it no longer is.
                "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
            ),
        )
    except psycopg.Error as error:
        # Not chained: the call holds the password.
        raise _refused_or_away(str(error), database) from None
