"""The document that is served, and how the server stands to the store that it comes from."""

from __future__ import annotations

import asyncio
import logging
import time

from services.flags.serving import Assembly, Served
from steward.clients.flag_store import Store

_log = logging.getLogger(__name__)


class Board:
    """Of one server, in one event loop. What is on it is only ever replaced by something newer."""

    def __init__(self) -> None:
        self._assembly = Assembly()
        self._changed = asyncio.Event()
        self.served: Served | None = None
        self.away: str = "it was not asked yet"
        """Why the database does not tell; empty: it does."""
        self.away_since: float | None = time.time()
        self.behind: int | None = None
        """The database's revision, where it is older than what was served: it is a backup, or a replica that lags."""

    def is_at(self, revision: int) -> bool:
        """Whether what is served is of *revision*."""
        return self.served is not None and self.served.revision == revision

    def answered(self) -> None:
        """The database did, and what is served is what it has."""
        if self.away_since is not None and self.served:
            _log.warning("the database answers again, after %.0f s", time.time() - self.away_since)
        self.away, self.away_since, self.behind = "", None, None

    def take(self, store: Store) -> None:
        """The database has *store*."""
        was_behind = self.behind
        self.answered()
        newest = self.served.revision if self.served else -1
        if store.revision < newest:
            self.behind = store.revision
            if was_behind is None:
                _log.error("the database is at revision %s, and %s was served: that stays", store.revision, newest)
        elif store.revision > newest:
            self.served = self._assembly.make(store)
            # Whoever waits holds the event that it waits for; whoever comes now waits for the next.
            told, self._changed = self._changed, asyncio.Event()
            told.set()

    def lost(self, reason: str) -> None:
        """The database did not answer: what was served last is served on."""
        if self.away_since is None:
            self.away_since = time.time()
        if reason != self.away:
            _log.warning("flags are served as they were: %s", reason)
        self.away = reason

    async def newer(self, seen: Served | None) -> Served:
        """What is newer than *seen*, as soon as there is something; of several changes meanwhile, the last."""
        while self.served is None or self.served is seen:
            await self._changed.wait()
        return self.served

    @property
    def is_serving(self) -> bool:
        """Whether there is anything to serve."""
        return self.served is not None

    def lines(self) -> list[str]:
        """For /healthz."""
        if self.served is None:
            return ["nothing to serve yet", f"database: {self.away}"]
        lines = [f"ok: revision {self.served.revision} of {len(self.served.store.flags)} flags"]
        if self.away_since is not None:
            lines.append(
                f"database: away for {time.time() - self.away_since:.0f} s, flags are as they were: {self.away}"
            )
        elif self.behind is not None:
            lines.append(f"database: behind at revision {self.behind}, what was served stays")
        else:
            lines.append("database: answers")
        return [*lines, *(f"refused: {key}: {why}" for key, why in sorted(self.served.refused.items()))]
