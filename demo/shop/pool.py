"""A few connections for the shop's event loop; whoever finds none free waits his turn, for a while."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection

from demo.shop.settings import ShopDatabase
from steward.settings import read_secret

#: Searches take a few milliseconds: ten serve more than two processors can ask for.
_MOST = 10
_WAIT_SECONDS = 2.0
_STATEMENT_SECONDS = 3

_log = logging.getLogger(__name__)

Rows = list[tuple[Any, ...]]


class DatabaseAway(Exception):
    """The database did not answer, or no connection was free."""


class Pool:
    """Connections open when they are needed, and stay open."""

    def __init__(self, database: ShopDatabase) -> None:
        self._database = database
        self._idle: list[AsyncConnection[tuple[Any, ...]]] = []
        self._turns = asyncio.Semaphore(_MOST)
        self._fault = ""

    async def ask(self, statement: str, *parameters: Any) -> Rows:
        """Its rows; none where it has none to give. Raises DatabaseAway."""
        try:
            async with asyncio.timeout(_WAIT_SECONDS + _STATEMENT_SECONDS), self._one() as connection:
                cursor = await connection.execute(statement.encode(), parameters)
                rows = await cursor.fetchall() if cursor.description else []
        except (psycopg.Error, OSError) as error:
            self._tell(type(error).__name__)
            raise DatabaseAway(type(error).__name__) from None
        self._tell("")
        return rows

    async def close(self) -> None:
        """All that are idle."""
        while self._idle:
            await self._idle.pop().close()

    def _tell(self, fault: str) -> None:
        """Once, not at every request."""
        if fault != self._fault:
            _log.warning("the database is %s", f"away: {fault}" if fault else "there again")
            self._fault = fault

    @asynccontextmanager
    async def _one(self) -> AsyncGenerator[AsyncConnection[tuple[Any, ...]]]:
        async with self._turns:
            connection = self._idle.pop() if self._idle else await self._open()
            try:
                yield connection
            except BaseException:
                # Its neighbours broke as a rule with it, and each would cost a request.
                await connection.close()
                await self.close()
                raise
            self._idle.append(connection)

    async def _open(self) -> AsyncConnection[tuple[Any, ...]]:
        return await AsyncConnection[tuple[Any, ...]].connect(
            self._database.url,
            password=read_secret(self._database.password),
            autocommit=True,
            connect_timeout=2,
            application_name="shop",
            options=f"-c statement_timeout={_STATEMENT_SECONDS}s",
        )
