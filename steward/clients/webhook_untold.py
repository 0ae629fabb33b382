"""What GitHub is still to be told of starts that came from its deployments: on record until it is said, or never will be.

Whoever says one holds its row until that is on record: a dispatcher that is killed gives it back, and two say no word at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from steward.clients.postgres import Connection


@dataclass(frozen=True, slots=True)
class Untold:
    """A start that has ended, `started` or `refused`, with what is needed of its delivery."""

    id: int
    deployment: str | None
    """Prefect's; None: the rule decides, or fitted not."""
    state: str
    run_id: UUID | None
    why: str | None
    age_seconds: float
    """Since it ended, by the database's clock."""
    source: str
    body: bytes | None


def take(db: Connection) -> Untold | None:
    """The one that is due longest and that nobody else is at; locked until the transaction ends."""
    with db.cursor(row_factory=class_row(Untold)) as cursor:
        return cursor.execute(_TAKE).fetchone()


def settled(db: Connection, start_id: int) -> None:
    """It is said, or never will be."""
    db.execute(_SETTLED, {"id": start_id})


def postponed(db: Connection, start_id: int, seconds: float) -> None:
    """It is due again after so long."""
    db.execute(_POSTPONED, {"id": start_id, "seconds": seconds})


_TAKE: LiteralString = """
SELECT s.id, s.deployment, s.state, s.run_id, s.why,
       extract(epoch FROM clock_timestamp() - s.done_at)::float8 AS age_seconds, d.source, d.body
  FROM steward.webhook_starts s JOIN steward.webhook_deliveries d ON d.id = s.delivery_id
 WHERE s.tell_at <= clock_timestamp()
 ORDER BY s.tell_at, s.id LIMIT 1 FOR UPDATE OF s SKIP LOCKED
"""

_SETTLED: LiteralString = "UPDATE steward.webhook_starts SET tell_at = NULL WHERE id = %(id)s"

_POSTPONED: LiteralString = """
UPDATE steward.webhook_starts SET tell_at = clock_timestamp() + make_interval(secs => %(seconds)s) WHERE id = %(id)s
"""
