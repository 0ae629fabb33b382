"""The flag store as a server follows it: read whole at each change, from an event loop, over one connection."""

from __future__ import annotations

import asyncio
from typing import Any, Self

import psycopg
from psycopg import AsyncConnection

from steward.clients import flag_sql as sql
from steward.clients.cutting_off import cut_off_after
from steward.clients.flag_store import Store, store_of
from steward.clients.postgres import (
    _database,
    _password,
    _refused_or_away,
    _target,
    worded,
)
from steward.settings import Settings

#: What every commit that changes a flag notifies.
CHANNEL = "flags"
#: A server that says nothing for so long hangs, and the connection is given up.
LIMIT_SECONDS = 3.0

#: What keeps a listener from the store. A new one may reach it again.
AWAY = (psycopg.Error, TimeoutError, OSError)


class FlagListener:
    """`async with` listens first, so that nothing is missed between the first reading and the first waiting.

    Every call raises StewardError or one of AWAY, after which the connection is of no use.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: AsyncConnection[tuple[Any, ...]] | None = None

    async def __aenter__(self) -> Self:
        self._connection = await _open(self._settings)
        try:
            with cut_off_after(self._connection, LIMIT_SECONDS):
                await self._connection.execute(f"LISTEN {CHANNEL}")
        except BaseException:
            await self._connection.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._connection:
            await self._connection.close()

    async def revision(self) -> int:
        """Of the store now: what to ask often, and cheaply."""
        with worded(self._settings), cut_off_after(self._opened, LIMIT_SECONDS):
            row = await (await self._opened.execute(sql.REVISION)).fetchone()
        if row is None:
            raise LookupError("the store has no revision: its one row is gone")
        return int(row[0])

    async def read(self) -> Store:
        """All flags at one moment."""
        with worded(self._settings), cut_off_after(self._opened, LIMIT_SECONDS):
            rows = await (await self._opened.execute(sql.STORE)).fetchall()
        return store_of(rows)

    async def wait(self, seconds: float) -> None:
        """Until a change is told of, and no longer than *seconds*."""
        with worded(self._settings):
            async for _ in self._opened.notifies(timeout=seconds, stop_after=1):
                pass

    @property
    def _opened(self) -> AsyncConnection[tuple[Any, ...]]:
        if self._connection is None:
            raise LookupError("listen inside of `async with` alone")
        return self._connection


async def _open(settings: Settings) -> AsyncConnection[tuple[Any, ...]]:
    database = _database(settings)
    _target(database)
    # In a thread: the password may lie in a vault, whose client blocks.
    password = await asyncio.to_thread(_password, database)
    try:
        return await AsyncConnection[tuple[Any, ...]].connect(
            database.url,
            autocommit=True,
            password=password,
            connect_timeout=int(LIMIT_SECONDS),
            application_name="steward-flags",
            tcp_user_timeout=int(LIMIT_SECONDS * 1000),
            options=f"-c statement_timeout={LIMIT_SECONDS:.0f}s",
        )
    except psycopg.Error as error:
        # Not chained: the call holds the password.
        raise _refused_or_away(str(error), database) from None
