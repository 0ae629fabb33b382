"""What was begun for each delivery of the inbox: matched with rules once, then worked off, oldest due first.

Whoever works at a row holds its lock until its transaction ends: a dispatcher that is killed gives it back, one that is frozen keeps it
from nobody but itself, since others skip what is locked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb
from pydantic import JsonValue

from steward.clients.postgres import Connection
from steward.clients.webhook_inbox import NOTIFY
from steward.webhooks.delivery import Payload, payload_of
from steward.webhooks.rules import Decide, Start, Unfit

UNFIT = "unfit"
"""The one parameter of a start whose rule could make none of the payload: why."""

#: Bodies that are forgotten in one transaction.
FORGOTTEN_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Unread:
    """A delivery that no rule was asked about yet."""

    id: int
    source: str
    event: str
    body: bytes

    @property
    def payload(self) -> Payload:
        """Raises MalformedBody."""
        return payload_of(self.body)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A start whose turn it is, with what is needed of its delivery."""

    id: int
    delivery_id: int
    rule: str
    deployment: str | None
    """None: the rule decides."""
    parameters: Mapping[str, JsonValue]
    tries: int
    age_seconds: float
    """Since it was matched, by the database's clock."""
    source: str
    event: str
    key: str
    body: bytes | None

    @property
    def idempotency_key(self) -> str:
        """By which Prefect knows it, however often it is asked."""
        return f"webhook/{self.source}/{self.key}/{self.rule}"


def unread(db: Connection, limit: int = 20) -> list[Unread]:
    """The oldest ones that nobody else is at; locked until the transaction ends."""
    with db.cursor(row_factory=class_row(Unread)) as cursor:
        return cursor.execute(_UNREAD, {"limit": limit}).fetchall()


def matched(db: Connection, delivery_id: int, found: Iterable[Start | Decide | Unfit]) -> None:
    """What is to begin for it is on record; nothing: it is ignored. A start that there is already stays as it is."""
    rows = [_row_of(each) for each in found]
    for row in rows:
        db.execute(_START, {"delivery": delivery_id, **row})
    db.execute(_MATCHED, {"id": delivery_id, "state": "matched" if rows else "ignored"})


def take(db: Connection) -> Waiting | None:
    """The start that is due longest and that nobody else is at; locked until the transaction ends."""
    with db.cursor(row_factory=class_row(Waiting)) as cursor:
        return cursor.execute(_TAKE).fetchone()


def started(db: Connection, start_id: int, run_id: str, *, tell: bool = False) -> None:
    """Prefect has its run. *tell*: its sender is to hear of it."""
    db.execute(_STARTED, {"id": start_id, "run": UUID(run_id), "tell": tell})


def decided(db: Connection, start_id: int, why: str) -> None:
    """GitHub has the answer."""
    db.execute(_ENDED, {"id": start_id, "state": "decided", "why": why, "tell": False})


def refused(db: Connection, start_id: int, why: str, *, tell: bool = False) -> None:
    """Nothing began, and nothing will by itself. *tell*: its sender is to hear of it."""
    db.execute(_ENDED, {"id": start_id, "state": "refused", "why": why, "tell": tell})


def postponed(db: Connection, start_id: int, why: str, seconds: float) -> None:
    """It is due again after so long."""
    db.execute(_POSTPONED, {"id": start_id, "why": why, "seconds": seconds})


def match_again(db: Connection, delivery_id: int) -> bool:
    """Let the rules, which somebody may have mended, be asked anew about a delivery that was refused or ignored. Whether it is.

    What was refused of it is forgotten; what was started, decided or waits stays as it is, so nothing begins twice. False: nothing of it
    was refused, or its body is forgotten.
    """
    if db.execute(_AGAIN, {"id": delivery_id}).rowcount == 0:
        return False
    db.execute(_FORGET_REFUSED, {"id": delivery_id})
    db.execute(NOTIFY)
    return True


def forget_bodies(db: Connection, older_than_days: float = 30) -> int:
    """Bodies of old deliveries for which everything was begun or refused are gone; how many, FORGOTTEN_AT_ONCE at most.

    Ids, keys and digests stay, so that nothing old is ever taken for new.
    """
    return db.execute(_FORGET, {"days": older_than_days, "limit": FORGOTTEN_AT_ONCE}).rowcount


@dataclass(frozen=True, slots=True)
class Standing:
    """What the inbox holds, for whoever watches it."""

    counts: Mapping[tuple[str, str], int]
    """Deliveries of the last day by source and state: received, ignored, waiting, refused, decided, started; of several starts the
    first of these counts.
    """
    waiting_seconds: float
    """How long the oldest delivery waits for what it starts; 0: none does."""


def standing(db: Connection) -> Standing:
    """Now."""
    rows = db.execute(_COUNTS).fetchall()
    waiting = db.execute(_OLDEST).fetchone()
    return Standing({(row[0], row[1]): row[2] for row in rows}, float(waiting[0]) if waiting else 0.0)


def _row_of(found: Start | Decide | Unfit) -> dict[str, Any]:
    match found:
        case Start():
            told = found.deployment, dict(found.parameters)
        case Decide():
            told = None, asdict(found)
        case Unfit():
            # Refused in its turn as any other is, so that whoever sent it is told, whatever is away now.
            told = None, {UNFIT: found.why}
    return {"rule": found.rule, "deployment": told[0], "parameters": Jsonb(told[1])}


_UNREAD: LiteralString = """
SELECT id, source, event, body FROM steward.webhook_deliveries WHERE state = 'received'
 ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""

_START: LiteralString = """
INSERT INTO steward.webhook_starts (delivery_id, rule, deployment, parameters)
VALUES (%(delivery)s, %(rule)s, %(deployment)s, %(parameters)s) ON CONFLICT (delivery_id, rule) DO NOTHING
"""

_MATCHED: LiteralString = """
UPDATE steward.webhook_deliveries SET state = %(state)s, matched_at = clock_timestamp() WHERE id = %(id)s
"""

_TAKE: LiteralString = """
SELECT s.id, s.delivery_id, s.rule, s.deployment, coalesce(s.parameters, '{}') AS parameters, s.tries,
       extract(epoch FROM clock_timestamp() - s.created_at)::float8 AS age_seconds, d.source, d.event, d.key, d.body
  FROM steward.webhook_starts s JOIN steward.webhook_deliveries d ON d.id = s.delivery_id
 WHERE s.state = 'waiting' AND s.next_try_at <= clock_timestamp()
 ORDER BY s.next_try_at, s.id LIMIT 1 FOR UPDATE OF s SKIP LOCKED
"""

_STARTED: LiteralString = """
UPDATE steward.webhook_starts
   SET state = 'started', run_id = %(run)s, why = NULL, tries = tries + 1, done_at = clock_timestamp(),
       tell_at = CASE WHEN %(tell)s THEN clock_timestamp() END
 WHERE id = %(id)s
"""

_ENDED: LiteralString = """
UPDATE steward.webhook_starts
   SET state = %(state)s, why = %(why)s, tries = tries + 1, done_at = clock_timestamp(),
       tell_at = CASE WHEN %(tell)s THEN clock_timestamp() END
 WHERE id = %(id)s
"""

_POSTPONED: LiteralString = """
UPDATE steward.webhook_starts
   SET why = %(why)s, tries = tries + 1, next_try_at = clock_timestamp() + make_interval(secs => %(seconds)s)
 WHERE id = %(id)s
"""

_AGAIN: LiteralString = """
UPDATE steward.webhook_deliveries d SET state = 'received', matched_at = NULL
 WHERE id = %(id)s AND body IS NOT NULL AND (state = 'ignored' OR state = 'matched' AND EXISTS (
    SELECT FROM steward.webhook_starts s WHERE s.delivery_id = d.id AND s.state = 'refused'))
"""

_FORGET_REFUSED: LiteralString = """
DELETE FROM steward.webhook_starts WHERE delivery_id = %(id)s AND state = 'refused'
"""

_FORGET: LiteralString = """
UPDATE steward.webhook_deliveries SET body = NULL WHERE id IN (
    SELECT id FROM steward.webhook_deliveries d
     WHERE body IS NOT NULL AND received_at < clock_timestamp() - make_interval(secs => %(days)s * 86400.0)
       AND state <> 'received'
       AND NOT EXISTS (SELECT FROM steward.webhook_starts s WHERE s.delivery_id = d.id AND s.state = 'waiting')
     ORDER BY received_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
"""

_COUNTS: LiteralString = """
SELECT source, state, count(*) FROM (
    SELECT d.source, CASE d.state WHEN 'matched' THEN (
        SELECT s.state FROM steward.webhook_starts s WHERE s.delivery_id = d.id
         ORDER BY array_position(ARRAY['waiting', 'refused', 'decided', 'started'], s.state) LIMIT 1)
        ELSE d.state END AS state
      FROM steward.webhook_deliveries d
     WHERE d.body IS NOT NULL AND d.received_at > clock_timestamp() - interval '1 day') AS told
 GROUP BY source, state
"""

_OLDEST: LiteralString = """
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(since)), 0) FROM (
    SELECT min(received_at) AS since FROM steward.webhook_deliveries WHERE state = 'received'
    UNION ALL
    -- One that decides waits for evidence, as long as its rule says.
    SELECT min(created_at) FROM steward.webhook_starts
     WHERE state = 'waiting' AND (deployment IS NOT NULL OR NOT parameters ? 'wait_minutes')) AS waiting
"""
