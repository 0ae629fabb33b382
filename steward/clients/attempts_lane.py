"""A lane to the ledger: one connection, on which writes that come together become one statement and one commit."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg import AsyncConnection

from steward.clients.postgres import DatabaseUnavailable, worded
from steward.settings import Settings
from steward.stopping import stop

Row = dict[str, Any]
Opened = AsyncConnection[Row]
Opener = Callable[[], Awaitable[Opened]]

#: Rows of one statement. Each further one costs about 20 µs, so a full batch is on its way for some 10 ms.
MOST_ROWS = 500
#: A statement touches rows by their ids; a server that needs longer hangs, and the connection is given up.
LIMIT_SECONDS = 6.0
_LONGEST_PAUSE_SECONDS = 1.0


def _answer() -> asyncio.Future[bool]:
    future = asyncio.get_running_loop().create_future()
    # Read once here: a caller that was cancelled reads it no more, and asyncio would complain of an error unread.
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future


@dataclass(slots=True)
class Write:
    """One row on its way. `done` gives whether the statement touched it."""

    statement: LiteralString
    row: Row
    give_up: float
    """By the event loop's clock."""
    done: asyncio.Future[bool] = field(default_factory=_answer)

    def tell(self, answer: bool | Exception) -> None:
        if self.done.done():
            return
        if isinstance(answer, Exception):
            self.done.set_exception(answer)
        else:
            self.done.set_result(answer)


class Lane:
    """Writes in the order in which they came. While one batch is on its way, the next one gathers.

    A write that the database refuses is told to whoever asked for it, and to nobody else: its batch is repeated row by
    row. A database that is away is waited for until each write's own time is over; every statement here is safe to send
    again when its answer was lost.
    """

    def __init__(self, settings: Settings, opener: Opener) -> None:
        self._settings, self._opener = settings, opener
        self._waiting: deque[Write] = deque()
        self._woken, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._connection: Opened | None = None
        self._task = asyncio.create_task(self._run(), name="ai-attempts-lane")

    def put(self, statement: LiteralString, row: Row, patience_seconds: float) -> asyncio.Future[bool]:
        """*row* is in line to be written when this returns; the future gives whether the statement touched it.

        It raises what the database says of the row, and DatabaseUnavailable. Not to be cancelled: the row may be on its way.
        """
        write = Write(statement, row, asyncio.get_running_loop().time() + patience_seconds)
        self._waiting.append(write)
        self._idle.clear()
        self._woken.set()
        return write.done

    async def close(self) -> None:
        """After what is waiting was written, or has waited out its patience."""
        await self._idle.wait()
        await stop(self._task)
        await self._drop()

    async def _run(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            while batch := self._next():
                await self._write(batch)
            self._idle.set()

    def _next(self) -> list[Write]:
        """Of one statement, and no row twice: what comes after it in time must come after it in the ledger."""
        batch, ids = list[Write](), set[Any]()
        while self._waiting and len(batch) < MOST_ROWS:
            first = self._waiting[0]
            if batch and (first.statement is not batch[0].statement or first.row["id"] in ids):
                break
            ids.add(first.row["id"])
            batch.append(self._waiting.popleft())
        return batch

    async def _write(self, batch: list[Write]) -> None:
        try:
            touched = await self._patiently(batch)
        except (psycopg.IntegrityError, psycopg.DataError, psycopg.ProgrammingError) as error:
            if len(batch) == 1:
                batch[0].tell(error)
                return
            for each in batch:
                await self._write([each])
        except Exception as error:  # noqa: BLE001  whatever it is, nobody may wait for ever
            for each in batch:
                each.tell(error)
        else:
            for each in batch:
                each.tell(UUID(each.row["id"]) in touched)

    async def _patiently(self, batch: list[Write]) -> set[UUID]:
        """The ids that were touched. Whoever's time is over meanwhile is told, and the rest goes on."""
        pause = 0.02
        while True:
            try:
                return await self._once(batch)
            except DatabaseUnavailable as error:
                await self._drop()
                now = asyncio.get_running_loop().time()
                for each in [each for each in batch if each.give_up <= now]:
                    batch.remove(each)
                    each.tell(error)
                if not batch:
                    return set()
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _once(self, batch: list[Write]) -> set[UUID]:
        values = {"rows": json.dumps([each.row for each in batch])}
        try:
            with worded(self._settings):
                async with asyncio.timeout(LIMIT_SECONDS):
                    if self._connection is None:
                        self._connection = await self._opener()
                    cursor = await self._connection.execute(batch[0].statement, values)
                    return {row["id"] for row in await cursor.fetchall()}
        except TimeoutError:
            raise DatabaseUnavailable(
                f"the ledger's database did not answer within {LIMIT_SECONDS:g} s", hint="see its log and its load"
            ) from None

    async def _drop(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(psycopg.Error, OSError):
                await connection.close()
