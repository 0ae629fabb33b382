"""Rollouts that have ended and of which nobody has said so: their run was cancelled, or given up, before it could."""

from __future__ import annotations

from typing import NamedTuple

from steward.clients.postgres import Connection

#: How the ledger calls whoever asks for such a run again.
ASKED_BY = "guardian"


class Unstated(NamedTuple):
    """One of them, and the operation whose next attempt states it."""

    rollout: int
    operation: int
    told: str
    """How it ended, and how its operation did."""


def unstated(db: Connection) -> list[Unstated]:
    """Those of the last week whose operation has ended without a statement, and may be asked for now.

    At once, then after two minutes, four, and so on: whatever kept the last attempt from it may last. Not one that was begun
    anew by a person: its next attempt would be another rollout. Nor one whose run had no deployment: nobody can start it.
    """
    return [Unstated(*row) for row in db.execute(_UNSTATED, {"asked_by": ASKED_BY}).fetchall()]


_UNSTATED = """
SELECT r.id, o.id, format('rollout %%s is %%s, and its operation %%s: %%s', r.id, r.state, o.state, coalesce(o.error, 'no word why'))
  FROM steward.rollouts r
  JOIN steward.operations o ON o.id = r.operation_id
  JOIN steward.operation_attempts a ON a.token = r.epoch AND a.operation_id = o.id AND a.round = o.round
  LEFT JOIN LATERAL (SELECT count(*) AS times, max(d.decided_at) AS last FROM steward.operation_decisions d
                      WHERE d.operation_id = o.id AND d.decided_by = %(asked_by)s) asked ON true
 WHERE r.ended_at > clock_timestamp() - interval '7 days'
   AND o.state IN ('failed', 'cancelled') AND o.deployment_id IS NOT NULL
   AND (asked.last IS NULL OR asked.last < clock_timestamp() - interval '1 min' * power(2, least(asked.times, 12)))
   AND NOT EXISTS (SELECT FROM steward.evidence e
                    WHERE e.operation = o.name AND e.subject = o.subject AND e.period = o.period)
 ORDER BY r.id
"""
