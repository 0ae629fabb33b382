"""What the ledger knows of a question to a person: how long it stands already, and which runs may hold the answer."""

from __future__ import annotations

from dataclasses import dataclass

from steward.operations.holding import current
from steward.operations.steps import current_step


@dataclass(frozen=True)
class Asked:
    """A question that the step at work asks."""

    seconds: float
    """Since it was asked first, by the ledger's clock."""
    flow_run_ids: list[str]
    """The runs of this round's attempts, newest first: each may have put it to a person."""


def asked() -> Asked:
    """What is known of the question that the step at work asks."""
    held, step = current(), current_step()
    (row,) = held.ledger.query(_ASKED, step=step.name, step_key=step.key, **held.operation.keys)
    return Asked(row["seconds"], row["flow_run_ids"])


_ASKED = """
SELECT extract(epoch FROM clock_timestamp() - s.first_at)::float8 AS seconds,
       ARRAY(SELECT a.flow_run_id::text FROM steward.operation_attempts a
              WHERE a.operation_id = s.operation_id AND a.round = s.round AND a.flow_run_id IS NOT NULL
              GROUP BY a.flow_run_id ORDER BY max(a.token) DESC) AS flow_run_ids
  FROM steward.operation_steps s
 WHERE s.operation_id = %(id)s AND s.round = %(round)s AND s.name = %(step)s AND s.key = %(step_key)s
"""
