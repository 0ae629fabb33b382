"""The inbox as a receiver's event loop fills it: a few connections kept, a database that is away waited for, soon given up."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, LiteralString, Self

import psycopg
from psycopg import AsyncConnection

from steward.clients.cutting_off import cut_off_after
from steward.clients.postgres import DatabaseUnavailable, _database, _password, _refused_or_away, _target, worded
from steward.clients.webhook_inbox import NOTIFY, Kept, keep_async
from steward.errors import StewardError
from steward.settings import Settings
from steward.stopping import stop
from steward.webhooks.delivery import Delivery

#: GitHub gives up after ten seconds. So a sender is told in time, and a database that restarts meanwhile costs nobody a delivery.
PATIENCE_SECONDS = 6.0
#: At once: at 200 deliveries a second two are busy. The rest wait in line, so that a burst opens no hundred connections.
_MOST_CONNECTIONS = 8
#: One statement: a server that needs longer hangs.
_LIMIT_SECONDS = 4.0
_PAUSE_SECONDS = 0.1
#: Deliveries that come within it wake the dispatcher once.
_TELLING_SECONDS = 0.01
#: How often an idle receiver looks whether the database is there, for whoever asks how it is.
_LOOK_SECONDS = 5.0

_AGAIN_SECONDS = 1.0
_LOOK: LiteralString = "SELECT 1 FROM steward.webhook_deliveries LIMIT 0"

Opened = AsyncConnection[tuple[Any, ...]]


class Inbox:
    """`async with` tells dispatchers of what was kept, in the background; nobody waits for that."""

    def __init__(self, settings: Settings, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._settings, self._patience = settings, patience_seconds
        self._turns = asyncio.Semaphore(_MOST_CONNECTIONS)
        self._idle: list[Opened] = []
        self._kept = asyncio.Event()
        self.parts: list[asyncio.Task[None]] = []
        """What runs for as long as it is open: one that ends before has failed."""
        self.away: str | None = "not asked yet"
        """Why the database cannot be reached; None: it answered last."""

    async def __aenter__(self) -> Self:
        self.parts = [asyncio.create_task(self._tell(), name="the telling of dispatchers")]
        return self

    async def __aexit__(self, *_: object) -> None:
        for part in self.parts:
            await stop(part)
        await self._forget_idle()

    async def keep(self, delivery: Delivery) -> Kept:
        """Its row, on disk when this returns. Raises DatabaseUnavailable, after some patience, and what else `worded` words.

        A try that was cut off may have been done: the next one finds its row.
        """
        give_up = asyncio.get_running_loop().time() + self._patience
        while True:
            try:
                kept = await self._once(delivery, give_up)
            except DatabaseUnavailable as error:
                self.away = error.message
                if asyncio.get_running_loop().time() + _PAUSE_SECONDS >= give_up:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                self.away = None
                if kept.is_new:
                    self._kept.set()
                return kept

    async def _once(self, delivery: Delivery, give_up: float) -> Kept:
        connection = await self._connection(give_up)
        try:
            with worded(self._settings):
                limit = min(_LIMIT_SECONDS, give_up - asyncio.get_running_loop().time())
                with cut_off_after(connection, limit):
                    kept = await keep_async(connection, delivery, "received")
        except BaseException:
            # What breaks one has as a rule broken its neighbours: each would cost a try.
            await _close(connection)
            await self._forget_idle()
            raise
        else:
            self._idle.append(connection)
            return kept
        finally:
            self._turns.release()

    async def _connection(self, give_up: float) -> Opened:
        """One whose turn is taken: whoever has it gives the turn back."""
        try:
            async with asyncio.timeout_at(give_up):
                await self._turns.acquire()
                try:
                    return self._idle.pop() if self._idle else await _open(self._settings, durably=True)
                except BaseException:
                    self._turns.release()
                    raise
        except TimeoutError:
            raise DatabaseUnavailable(
                f"PostgreSQL gave no connection within {self._patience:g} s", hint="see whether it runs, and its load"
            ) from None

    async def _forget_idle(self) -> None:
        while self._idle:
            await _close(self._idle.pop())

    async def _tell(self) -> None:
        """For ever. A notice that is lost costs its deliveries a second: whoever waits for one looks that often."""
        while True:
            try:
                with worded(self._settings):
                    await self._tell_over_one_connection()
            except (psycopg.Error, OSError, StewardError) as error:
                self.away = error.message if isinstance(error, StewardError) else type(error).__name__
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _tell_over_one_connection(self) -> None:
        connection = await _open(self._settings, durably=False)
        try:
            while True:
                # Before it is told: what is kept meanwhile is told next.
                statement = NOTIFY if self._kept.is_set() else _LOOK
                self._kept.clear()
                with cut_off_after(connection, _LIMIT_SECONDS):
                    await connection.execute(statement)
                self.away = None
                await asyncio.sleep(_TELLING_SECONDS)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await self._kept.wait()
        finally:
            await _close(connection)


async def _open(settings: Settings, *, durably: bool) -> Opened:
    database = _database(settings)
    _target(database)
    # In a thread: the password may lie in a vault, whose client blocks.
    password = await asyncio.to_thread(_password, database)
    try:
        return await AsyncConnection[tuple[Any, ...]].connect(
            database.url,
            autocommit=True,
            password=password,
            connect_timeout=int(_LIMIT_SECONDS),
            application_name="steward-webhooks",
            tcp_user_timeout=int(_LIMIT_SECONDS * 1000),
            options=(
                f"-c statement_timeout={_LIMIT_SECONDS:.0f}s -c lock_timeout={_LIMIT_SECONDS:.0f}s "
                # What is acknowledged is on disk. A notice need not be: commits that notify wait for one another.
                f"-c synchronous_commit={'on' if durably else 'off'}"
            ),
        )
    except psycopg.Error as error:
        # Not chained: the call holds the password.
        raise _refused_or_away(str(error), database) from None


async def _close(connection: Opened) -> None:
    with suppress(psycopg.Error, OSError):
        await connection.close()
