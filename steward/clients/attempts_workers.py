"""A worker's sign of life: a lease by the database's clock, renewed on a connection of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import LiteralString
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from steward.clients import attempts_sql as sql
from steward.clients.attempts_connections import open_for_attempts
from steward.clients.attempts_lane import LIMIT_SECONDS, Opened
from steward.clients.postgres import worded
from steward.errors import StewardError
from steward.settings import Settings
from steward.stopping import stop

#: As for operations: a lost heartbeat is weather, three are a dead worker.
LEASE_SECONDS = 15.0
HEARTBEAT_SECONDS = 5.0

#: By account, the fingerprint of the provider's key that the worker uses, None where it cannot tell yet: asked for at each
#: heartbeat.
TellCredentials = Callable[[], Mapping[str, str] | None]

_log = logging.getLogger(__name__)


class Lease:
    """While it is kept, the sweeper leaves the worker's open attempts alone, until they are too old for any."""

    def __init__(self, settings: Settings, worker: UUID, name: str, credentials: TellCredentials | None = None) -> None:
        self._settings, self._name, self._id, self._credentials = settings, name, worker, credentials
        self._connection: Opened | None = None
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Raises as the database does: a worker that cannot be known must not send."""
        await self._tell(sql.WORK)
        self._task = asyncio.create_task(self._beat(), name="ai-attempts-lease")

    async def end(self) -> None:
        """Whatever is open of it now is nobody's. An absent database learns it when the lease runs out."""
        if self._task:
            await stop(self._task)
        with suppress(StewardError, psycopg.Error, TimeoutError):
            await self._tell(sql.END_WORK)
        await self._drop()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            try:
                await self._tell(sql.WORK)
            except (StewardError, psycopg.Error, TimeoutError) as error:
                # Not raised: what this worker has under way is settled when the database is back.
                _log.warning("the ledger of attempts has no sign of life from this worker: %s", error)
                await self._drop()

    async def _tell(self, statement: LiteralString) -> None:
        async with asyncio.timeout(LIMIT_SECONDS):
            if self._connection is None:
                self._connection = await open_for_attempts(self._settings)
            with worded(self._settings):
                told = self._credentials() if self._credentials else None
                lease = f"{LEASE_SECONDS} s"
                values = {
                    "id": self._id,
                    "name": self._name,
                    "lease": lease,
                    "credentials": None if told is None else Jsonb(told),
                }
                await self._connection.execute(statement, values)

    async def _drop(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(psycopg.Error, OSError):
                await connection.close()
