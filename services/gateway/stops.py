"""What budgets stop this month, from the database every ten seconds and from memory for each request.

A budget never takes the platform down: where the stops cannot be read, those that are known stay, and nothing else is stopped.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable
from typing import Self

import psycopg

from services.gateway.metrics import Metrics
from steward.clients.cost_stops import StopInForce, StopsReader
from steward.costs.budgets.spending import Scope
from steward.errors import StewardError
from steward.settings import Settings
from steward.stopping import stop

READ_SECONDS = 10.0
#: Of the database, and of what it lacks: a worker may be newer than its tables.
_AWAY = (StewardError, psycopg.Error, TimeoutError)

_log = logging.getLogger(__name__)


class Stops:
    """`async with` keeps them fresh."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._reader, self._metrics = StopsReader(settings), metrics
        self._subjects = {
            name: {(Scope.PROVIDER, account.kind), (Scope.PROJECT, account.project)}
            for name, account in settings.providers.items()
        }
        self._known: frozenset[StopInForce] = frozenset()
        self._tenants: frozenset[str] = frozenset()
        self._accounts: frozenset[str] = frozenset()
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._read()
        self._reading = asyncio.create_task(self._read_for_ever(), name="stops")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reading:
            await stop(self._reading)
        await self._reader.close()

    def has_tenant(self, name: str) -> bool:
        """Whether nothing more is to be spent for it."""
        return name in self._tenants

    def has_account(self, name: str) -> bool:
        """Whether nothing more is to be spent at it: its provider is stopped, or its project."""
        return name in self._accounts

    async def _read_for_ever(self) -> None:
        while True:
            await asyncio.sleep(READ_SECONDS)
            await self._read()

    async def _read(self) -> None:
        try:
            self._take(await self._reader.read())
        except _AWAY as error:
            self._metrics.stops_unread()
            told = error.message if isinstance(error, StewardError) else type(error).__name__
            _log.warning("budgets stop what they stopped before: %s", told)

    def _take(self, stops: Iterable[StopInForce]) -> None:
        found = frozenset(stops)
        stopped = {(each.scope, each.subject) for each in found}
        self._tenants = frozenset(subject for scope, subject in stopped if scope is Scope.TENANT)
        self._accounts = frozenset(name for name, subjects in self._subjects.items() if subjects & stopped)
        self._metrics.stops(Counter(each.scope for each in found))
        for each in sorted(found - self._known):
            _log.warning("budget %s stops %s %s%s", *each, self._reach(each))
        for each in sorted(self._known - found):
            _log.warning("budget %s does not stop %s %s any more", *each)
        self._known = found

    def _reach(self, each: StopInForce) -> str:
        """A project stands in the settings, or nobody knows whose it is."""
        if each.scope is Scope.TENANT:
            return ""
        accounts = [name for name, subjects in self._subjects.items() if (each.scope, each.subject) in subjects]
        return f": {', '.join(accounts)}" if accounts else ", which is of no account in the settings"
