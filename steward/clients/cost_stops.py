"""Which budgets stop what: rows of `budget_alerts` of threshold `stop`, in the month that they are of, until a person lifts them."""

from __future__ import annotations

import asyncio
import getpass
import socket
from contextlib import suppress
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg.rows import namedtuple_row

from steward.clients.attempts_connections import open_for_attempts
from steward.clients.attempts_lane import Opened
from steward.clients.postgres import Connection, worded
from steward.costs.budgets.spending import Scope
from steward.errors import BadInput
from steward.settings import Settings

#: A server that says nothing for so long hangs, and the connection is given up.
_LIMIT_SECONDS = 6.0


class StopInForce(NamedTuple):
    """On which tenant, project or provider nothing more is to be spent this month."""

    budget: str
    scope: Scope
    subject: str


def stops_in_force(connection: Connection) -> list[StopInForce]:
    """Of this month (UTC), by the database's clock."""
    return [_stop(*row) for row in connection.execute(_IN_FORCE).fetchall()]


def lift_stop(connection: Connection, budget: str, why: str) -> StopInForce:
    """Let spending go on; recorded with who it was and *why*. That budget stops nothing any more this month. BadInput."""
    if not why.strip():
        raise BadInput("the reason is empty", hint="say in --because what was decided, and by whom")
    who = f"{getpass.getuser()}@{socket.gethostname()}"
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        lifted: Any = cursor.execute(_LIFT, {"budget": budget, "who": who, "why": why}).fetchone()
    if lifted is None:
        standing = ", ".join(each.budget for each in stops_in_force(connection)) or "none does"
        raise BadInput(f"budget {budget} stops nothing now", hint=f"budgets that stop something: {standing}")
    return _stop(budget, lifted.scope, lifted.subject)


class StopsReader:
    """Reads them again and again from an event loop, on one connection that is opened anew after each failure."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: Opened | None = None

    async def read(self) -> list[StopInForce]:
        """Raises StewardError, psycopg.Error or TimeoutError."""
        try:
            async with asyncio.timeout(_LIMIT_SECONDS):
                with worded(self._settings):
                    if self._connection is None:
                        self._connection = await open_for_attempts(self._settings)
                    rows = await (await self._connection.execute(_IN_FORCE)).fetchall()
        except BaseException:
            await self.close()
            raise
        return [_stop(**row) for row in rows]

    async def close(self) -> None:
        """Of the server's side nothing is left."""
        connection, self._connection = self._connection, None
        if connection:
            with suppress(psycopg.Error):
                await connection.close()


def _stop(budget: str, scope: str, subject: str) -> StopInForce:
    return StopInForce(budget, Scope(scope), subject)


_IN_FORCE: LiteralString = """
SELECT a.budget, a.scope, a.subject FROM steward.budget_alerts AS a
 WHERE a.threshold = 'stop' AND a.month = date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date
   AND NOT EXISTS (SELECT FROM steward.budget_stops_lifted AS l WHERE l.budget = a.budget AND l.month = a.month)
 ORDER BY a.budget
"""

_LIFT: LiteralString = """
WITH stop AS (
    SELECT budget, month, scope, subject FROM steward.budget_alerts
     WHERE budget = %(budget)s AND threshold = 'stop' AND month = date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date
), lifted AS (
    INSERT INTO steward.budget_stops_lifted (budget, month, who, why)
    SELECT budget, month, %(who)s, %(why)s FROM stop
    ON CONFLICT (budget, month) DO NOTHING RETURNING budget
)
SELECT scope, subject FROM stop JOIN lifted USING (budget)
"""
