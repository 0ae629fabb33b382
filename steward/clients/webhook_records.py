"""What people see of the inbox of webhooks, and the one thing they do to it: have the rules asked anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, LiteralString, get_args
from uuid import UUID

from psycopg.rows import class_row
from pydantic import JsonValue

from steward.clients.postgres import Connection
from steward.clients.webhook_starts import match_again
from steward.errors import BadInput

Stands = Literal["received", "waiting", "refused", "decided", "started", "ignored"]
"""How a delivery fares; of several starts the first of these counts, as in the dispatcher's metrics."""

STATES: tuple[Stands, ...] = get_args(Stands)


class NoSuchDelivery(BadInput):
    """The inbox has none of this number."""


class NotRetried(BadInput):
    """Nothing of this delivery was refused, or it can no longer be read."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What one rule made of a delivery, and what came of that."""

    id: int
    delivery_id: int
    rule: str
    deployment: str | None
    """None: the rule decides, or fitted not."""
    parameters: Mapping[str, JsonValue]
    state: str
    run_id: UUID | None
    why: str | None
    tries: int
    next_try_at: datetime
    created_at: datetime
    done_at: datetime | None
    tell_at: datetime | None
    """When its sender is to be told next; None: it has heard, or is not told of such."""


@dataclass(frozen=True, slots=True)
class Record:
    """One delivery as the inbox has it."""

    id: int
    source: str
    delivery: str
    """The sender's id."""
    event: str
    key: str
    occurred_at: datetime
    received_at: datetime
    how: str
    repeats: int
    last_repeat_at: datetime | None
    stands: Stands


def newest(db: Connection, *, source: str | None = None, stands: str | None = None, limit: int = 20) -> list[Record]:
    """Newest first."""
    wanted = {"source": source, "stands": stands, "limit": limit}
    with db.cursor(row_factory=class_row(Record)) as cursor:
        return cursor.execute(_NEWEST, wanted).fetchall()


def record(db: Connection, delivery_id: int) -> Record:
    """One. Raises NoSuchDelivery."""
    with db.cursor(row_factory=class_row(Record)) as cursor:
        found = cursor.execute(_ONE, {"id": delivery_id}).fetchone()
    if found is None:
        raise _missing(delivery_id)
    return found


def body(db: Connection, delivery_id: int) -> bytes | None:
    """As it was signed; None: forgotten. Raises NoSuchDelivery."""
    row = db.execute(_BODY, {"id": delivery_id}).fetchone()
    if row is None:
        raise _missing(delivery_id)
    return row[0]


def begun(db: Connection, deliveries: Sequence[int]) -> list[Begun]:
    """What was begun for *deliveries*, in the order in which it was."""
    with db.cursor(row_factory=class_row(Begun)) as cursor:
        return cursor.execute(_BEGUN, {"deliveries": list(deliveries)}).fetchall()


def retry(db: Connection, delivery_id: int) -> list[Begun]:
    """Have the rules asked about it as if it had just come; what was refused, and is forgotten with that.

    Raises NoSuchDelivery, NotRetried.
    """
    refused = [each for each in begun(db, [delivery_id]) if each.state == "refused"]
    if not match_again(db, delivery_id):
        raise _not_retried(record(db, delivery_id))
    return refused


def _not_retried(found: Record) -> NotRetried:
    if instead := _INSTEAD.get(found.stands):
        return NotRetried(f"delivery {found.id} is {found.stands}; expected refused or ignored", hint=instead)
    return NotRetried(
        f"what delivery {found.id} told is forgotten", hint="let its sender tell it anew, under another id"
    )


def _missing(delivery_id: int) -> NoSuchDelivery:
    return NoSuchDelivery(f"the inbox has no delivery {delivery_id}", hint="python -m steward webhooks list")


_INSTEAD: Mapping[Stands, str] = {
    "received": "a dispatcher asks the rules soon; is one running?",
    "waiting": "it is tried again by itself, twice a minute at least; `show` tells what it waits for",
    "started": "start its run anew in Prefect, or let its sender tell it anew, under another id",
    "decided": "GitHub has the answer: run its job again there",
}

_RECORDS: LiteralString = """
SELECT * FROM (
    SELECT d.id, d.source, d.delivery, d.event, d.key, d.occurred_at, d.received_at, d.how, d.repeats, d.last_repeat_at,
           CASE d.state WHEN 'matched' THEN (
               SELECT s.state FROM steward.webhook_starts s WHERE s.delivery_id = d.id
                ORDER BY array_position(ARRAY['waiting', 'refused', 'decided', 'started'], s.state) LIMIT 1)
           ELSE d.state END AS stands
      FROM steward.webhook_deliveries d) AS told
"""

_NEWEST: LiteralString = f"""{_RECORDS}
 WHERE (%(source)s::text IS NULL OR source = %(source)s) AND (%(stands)s::text IS NULL OR stands = %(stands)s)
 ORDER BY id DESC LIMIT %(limit)s
"""

_ONE: LiteralString = f"{_RECORDS} WHERE id = %(id)s"

_BEGUN: LiteralString = """
SELECT id, delivery_id, rule, deployment, coalesce(parameters, '{}') AS parameters, state, run_id, why, tries, next_try_at,
       created_at, done_at, tell_at
  FROM steward.webhook_starts WHERE delivery_id = ANY(%(deliveries)s) ORDER BY id
"""

_BODY: LiteralString = "SELECT body FROM steward.webhook_deliveries WHERE id = %(id)s"
