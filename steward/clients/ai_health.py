"""What the database has of the providers' health: what the watch saw, what users met, who serves them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import LiteralString

from psycopg.rows import dict_row

from steward.ai.health_report import DAY, MONTH, SIGNALS, History, Signals, Watched
from steward.ai.probing import SLOW_MILLISECONDS, standing, uptime
from steward.clients.ai_probes import newest_probes, read_spans
from steward.clients.postgres import Connection


def read_history(connection: Connection, accounts: Iterable[str]) -> History:
    """All that is told of *accounts*, as of one moment."""
    now, spans = read_spans(connection, MONTH)
    newest, signals = newest_probes(connection), _signals(connection, SIGNALS)
    workers = tuple(name for (name,) in connection.execute(_WORKERS).fetchall())
    watched: dict[str, Watched] = {}
    for account in accounts:
        of, seen = spans.get(account, []), newest.get(account)
        watched[account] = Watched(
            standing=standing(of, now),
            probed_at=seen[0] if seen else None,
            newest=seen[1] if seen else None,
            day=uptime(of, now - DAY, now),
            month=uptime(of, now - MONTH, now),
            signals=signals.get(account, Signals()),
        )
    return History(now=now, accounts=watched, workers=workers)


def _signals(connection: Connection, within: dt.timedelta) -> dict[str, Signals]:
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_SIGNALS, {"within": within, "slow": SLOW_MILLISECONDS}).fetchall()
    return {row.pop("account"): Signals.model_validate(row) for row in rows}


# A caller's own mistakes (400, 413, 422 …), and one that left, are no failures of the provider.
_SIGNALS: LiteralString = """
SELECT account,
       count(*) AS attempts,
       count(*) FILTER (WHERE state NOT IN ('reserved', 'sent')) AS ended,
       count(*) FILTER (WHERE ending IN ('cut', 'truncated', 'timed_out', 'lost')
                           OR ending = 'refused' AND (http_status NOT BETWEEN 400 AND 499
                                                      OR http_status IN (401, 403, 404, 408, 409, 429))
                           OR ending = 'not_sent' AND error_class IN ('ConnectError', 'ConnectTimeout')) AS failed,
       count(*) FILTER (WHERE ending = 'completed') AS completed,
       count(*) FILTER (WHERE ending = 'completed' AND latency_ms > %(slow)s) AS slow,
       percentile_disc(0.5) WITHIN GROUP (ORDER BY first_token_ms) AS first_token_p50_ms,
       percentile_disc(0.95) WITHIN GROUP (ORDER BY first_token_ms) AS first_token_p95_ms
  FROM steward.ai_attempts
 WHERE reserved_at > clock_timestamp() - %(within)s
 GROUP BY account
"""

_WORKERS: LiteralString = """
SELECT name FROM steward.ai_workers WHERE ended_at IS NULL AND NOT steward.expired(lease_until, lease) ORDER BY name
"""
