"""A twin's own record as a source of usage: one query, which sums up by minute."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable

from replica.providers.billing.usage import Usage

_QUERY = """
    SELECT cast(arrived_at / 60 AS INTEGER) * 60, provider, account, project, key_id, endpoint, model_served, tier_served,
        long_context, count(*), sum(input_uncached), sum(cache_read), sum(cache_write_5m), sum(cache_write_1h), sum(cache_write_30m), sum(output),
        sum(web_searches)
    FROM arrivals JOIN ends USING (seq)
    WHERE account = :account AND billed AND arrived_at >= :start AND arrived_at < :end
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    UNION ALL
    SELECT minute, provider, account, project, key_id, endpoint, model, tier, long_context, requests, input_uncached,
        cache_read, cache_write_5m, cache_write_1h, cache_write_30m, output, web_searches
    FROM restatements
    WHERE account = :account AND minute >= :start AND minute < :end AND visible_at <= :now
"""


class TruthSource:
    """Reads the twin's database; *clock* says what is known by now."""

    def __init__(self, database: sqlite3.Connection, clock: Callable[[], float]) -> None:
        self._database, self._clock = database, clock

    def usage(self, account: str, start: int, end: int) -> Iterable[Usage]:
        """What *account* was billed for in [start, end)."""
        asked = {"account": account, "start": start, "end": end, "now": self._clock()}
        for row in self._database.execute(_QUERY, asked):
            yield Usage(*row)
