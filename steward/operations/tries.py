"""The earlier tries at the step at work: since when, and by which runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from steward.operations.holding import current
from steward.operations.steps import current_step


@dataclass(frozen=True)
class Tries:
    """All tries of this round at one step, the present one included."""

    first_at: datetime
    """By the ledger's clock. With the operation's id it names the step also beside another ledger with the same ids."""
    seconds: float
    """Since then, by the same clock."""
    flow_run_ids: list[str]
    """The runs of the round's attempts, newest first."""


def tries() -> Tries:
    """What is known of the tries at the step at work."""
    held, step = current(), current_step()
    (row,) = held.ledger.query(_TRIES, step=step.name, step_key=step.key, **held.operation.keys)
    return Tries(row["first_at"], row["seconds"], row["flow_run_ids"])


_TRIES = """
SELECT s.first_at, extract(epoch FROM clock_timestamp() - s.first_at)::float8 AS seconds,
       ARRAY(SELECT a.flow_run_id::text FROM steward.operation_attempts a
              WHERE a.operation_id = s.operation_id AND a.round = s.round AND a.flow_run_id IS NOT NULL
              GROUP BY a.flow_run_id ORDER BY max(a.token) DESC) AS flow_run_ids
  FROM steward.operation_steps s
 WHERE s.operation_id = %(id)s AND s.round = %(round)s AND s.name = %(step)s AND s.key = %(step_key)s
"""
