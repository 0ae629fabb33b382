"""What the ledger holds, counted: the figures behind the watch's metrics."""

from __future__ import annotations

from dataclasses import dataclass

from steward.operations.ledger import Ledger, Row


@dataclass(frozen=True)
class Tallies:
    """Rows as the database gives them, each with `name` and `subject`. Times are Unix seconds, durations seconds."""

    operations: list[Row]
    """state, verdict, count."""
    attempts: list[Row]
    """ended, count. Those that are under way are not among them."""
    last: list[Row]
    """One a name and subject: verified_at, duration_seconds, lateness_seconds, in_doubt, due_seconds, waiting_seconds."""


def tally(ledger: Ledger) -> Tallies:
    """Three statements over the whole ledger: some milliseconds for years of nights."""
    return Tallies(ledger.query(_OPERATIONS), ledger.query(_ATTEMPTS), ledger.query(_LAST))


_OPERATIONS = """
SELECT name, subject, state, coalesce(verdict, '') AS verdict, count(*) AS count
  FROM steward.operations GROUP BY 1, 2, 3, 4
"""

_ATTEMPTS = """
SELECT o.name, o.subject, CASE WHEN a.ended IS NULL OR a.ended = 'superseded' THEN 'lost' ELSE a.ended END AS ended,
       count(*) AS count
  FROM steward.operation_attempts a JOIN steward.operations o ON o.id = a.operation_id
 WHERE a.ended IS NOT NULL OR a.token <> o.token
 GROUP BY 1, 2, 3
"""

# The last to end tells the duration, from the first attempt of its last round; the last to begin tells the lateness.
_LAST = """
SELECT DISTINCT o.name, o.subject,
       extract(epoch FROM max(o.ended_at) FILTER (WHERE o.state = 'done' AND o.verdict = 'VERIFIED') OVER who)::float
           AS verified_at,
       extract(epoch FROM first_value(o.ended_at - r.began_at) OVER (who ORDER BY o.ended_at DESC NULLS LAST))::float
           AS duration_seconds,
       extract(epoch FROM first_value(o.began_at - o.due_at)
           OVER (who ORDER BY (o.began_at >= o.due_at) DESC NULLS LAST, o.began_at DESC))::float AS lateness_seconds,
       count(*) FILTER (WHERE o.state = 'failed' AND o.error LIKE 'InDoubt:%%') OVER who AS in_doubt,
       extract(epoch FROM max(clock_timestamp() - o.due_at) FILTER (WHERE o.state = 'due') OVER who)::float
           AS due_seconds,
       extract(epoch FROM max(clock_timestamp() - r.ended_at) FILTER (WHERE o.state = 'waiting') OVER who)::float
           AS waiting_seconds
  FROM steward.operations o
  LEFT JOIN LATERAL (SELECT min(a.began_at) AS began_at, max(a.ended_at) AS ended_at FROM steward.operation_attempts a
                      WHERE a.operation_id = o.id AND a.round = o.round) r ON true
WINDOW who AS (PARTITION BY o.name, o.subject)
"""
