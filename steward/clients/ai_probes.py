"""What was seen of providers, in the database: kept, read as spans, tidied. Functions over a connection."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from typing import LiteralString

from steward.ai.probing import COVERS, Probe, ProviderState, Span
from steward.clients.postgres import Connection

#: Longer than any window that is told of.
KEPT_DAYS = 35
#: Of one transaction, so that nobody waits for it.
_MOST_ROWS = 5_000


def keep_probes(connection: Connection, probes: Iterable[Probe]) -> None:
    """By the database's clock. What people are told beside them is not kept."""
    with connection.cursor() as cursor:
        cursor.executemany(_KEEP, [each.model_dump(exclude={"told"}) for each in probes])


def read_spans(connection: Connection, since: dt.timedelta) -> tuple[dt.datetime, dict[str, list[Span]]]:
    """Now, by the database's clock, and each account's spans from *since* ago, oldest first; those that stand then included."""
    found: defaultdict[str, list[Span]] = defaultdict(list)
    [(now,)] = connection.execute("SELECT clock_timestamp()").fetchall()
    rows = connection.execute(_SPANS, {"since": now - since - COVERS, "covers": COVERS}).fetchall()
    for account, state, first, last, probes in rows:
        found[account].append(Span(ProviderState(state), first, last, probes))
    return now, dict(found)


def newest_probes(connection: Connection) -> dict[str, tuple[dt.datetime, Probe]]:
    """Of each account that was asked within a day: when, and what came of it."""
    rows = connection.execute(_NEWEST).fetchall()
    names = ("account", "provider", "state", "http_status", "latency_ms", "error_class")
    return {row[1]: (row[0], Probe.model_validate(dict(zip(names, row[1:], strict=True)))) for row in rows}


def forget_probes(connection: Connection) -> int:
    """Delete some of what is older than KEPT_DAYS; how many. Twice is harmless; less than a batch: nothing is left."""
    return connection.execute(_FORGET, {"days": KEPT_DAYS, "most": _MOST_ROWS}).rowcount


def has_more_to_forget(forgotten: int) -> bool:
    """Whether a batch was full."""
    return forgotten == _MOST_ROWS


_KEEP: LiteralString = """
INSERT INTO steward.ai_probes (account, provider, state, http_status, latency_ms, error_class)
VALUES (%(account)s, %(provider)s, %(state)s, %(http_status)s, %(latency_ms)s, %(error_class)s)
"""

# A new span where the state is another, or where nobody asked for too long.
_SPANS: LiteralString = """
WITH seen AS (
    SELECT account, state, probed_at,
           (lag(state) OVER w IS DISTINCT FROM state OR probed_at - lag(probed_at) OVER w > %(covers)s)::integer AS begins
      FROM steward.ai_probes
     WHERE probed_at >= %(since)s
    WINDOW w AS (PARTITION BY account ORDER BY probed_at)
), numbered AS (
    SELECT account, state, probed_at,
           sum(begins) OVER (PARTITION BY account ORDER BY probed_at ROWS UNBOUNDED PRECEDING) AS number
      FROM seen
)
SELECT account, min(state), min(probed_at), max(probed_at), count(*)
  FROM numbered
 GROUP BY account, number
 ORDER BY account, number
"""

_NEWEST: LiteralString = """
SELECT DISTINCT ON (account) probed_at, account, provider, state, http_status, latency_ms, error_class
  FROM steward.ai_probes
 WHERE probed_at > clock_timestamp() - interval '1 day'
 ORDER BY account, probed_at DESC
"""

# By id, for rows come in the order of time.
_FORGET: LiteralString = """
DELETE FROM steward.ai_probes
 WHERE id IN (SELECT id FROM steward.ai_probes ORDER BY id LIMIT %(most)s)
   AND probed_at < clock_timestamp() - %(days)s * interval '1 day'
"""
