"""The inbox of webhooks: a delivery is a row here before its sender is answered.

A repeat is counted on the row that is there, whether it comes under the same id, tells of the same event, or is the same body.
What was begun for a delivery is `webhook_starts`' to tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import AsyncConnection

from steward.clients.postgres import Connection
from steward.webhooks.delivery import Delivery, How

CHANNEL = "steward_webhooks"
"""What is notified, soon after a delivery was kept. Best effort: whoever waits for one looks every second besides."""

NOTIFY: LiteralString = f"NOTIFY {CHANNEL}"

# No lock beyond those of its own rows, so that many are kept at once: a NOTIFY here would make commits wait for one another.
KEEP: LiteralString = """
INSERT INTO steward.webhook_deliveries (source, delivery, event, action, key, occurred_at, body, body_sha256, how)
VALUES (%(source)s, %(delivery)s, %(event)s, %(action)s, %(key)s, %(occurred_at)s, %(body)s, %(body_sha256)s, %(how)s)
ON CONFLICT DO NOTHING RETURNING id
"""

# The one of the same id first: a sender asks for its own. Each by its own index, however many a source has sent.
REPEAT: LiteralString = """
UPDATE steward.webhook_deliveries SET repeats = repeats + 1, last_repeat_at = clock_timestamp()
 WHERE id = (
    SELECT id FROM (
        SELECT id, 1 AS likeness FROM steward.webhook_deliveries
         WHERE source = %(source)s AND delivery = %(delivery)s
        UNION ALL
        SELECT id, 2 FROM steward.webhook_deliveries WHERE source = %(source)s AND key = %(key)s
        UNION ALL
        SELECT id, 3 FROM steward.webhook_deliveries WHERE source = %(source)s AND body_sha256 = %(body_sha256)s
    ) AS alike ORDER BY likeness LIMIT 1)
RETURNING id
"""

KNOWN: LiteralString = """
SELECT delivery FROM steward.webhook_deliveries WHERE source = %(source)s AND delivery = ANY(%(deliveries)s)
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A delivery's row."""

    id: int
    is_new: bool
    """False: it was there, and was counted as a repeat."""


def keep(connection: Connection, delivery: Delivery, how: How) -> Kept:
    """Its row, or the one that it repeats. Durable once the transaction of *connection* is committed."""
    values = row_of(delivery, how)
    # A second look where the row that was in the way was rolled back meanwhile.
    while True:
        if new := connection.execute(KEEP, values).fetchone():
            return Kept(new[0], is_new=True)
        if old := connection.execute(REPEAT, values).fetchone():
            return Kept(old[0], is_new=False)


async def keep_async(connection: AsyncConnection[tuple[Any, ...]], delivery: Delivery, how: How) -> Kept:
    """As `keep`, for an event loop. On a connection in autocommit it is durable when this returns, after one round trip if new."""
    values = row_of(delivery, how)
    while True:
        if new := await (await connection.execute(KEEP, values, prepare=True)).fetchone():
            return Kept(new[0], is_new=True)
        # Planned anew: a plan that was made while the table was small would read all of it, long after it no longer is.
        if old := await (await connection.execute(REPEAT, values, prepare=False)).fetchone():
            return Kept(old[0], is_new=False)


def known(connection: Connection, source: str, deliveries: Iterable[str]) -> set[str]:
    """Those of the sender's ids *deliveries* that the inbox has."""
    rows = connection.execute(KNOWN, {"source": source, "deliveries": list(deliveries)})
    return {row[0] for row in rows}


def row_of(delivery: Delivery, how: How) -> dict[str, Any]:
    """The values of its row."""
    return {
        "source": delivery.source,
        "delivery": delivery.delivery,
        "event": delivery.event,
        "action": delivery.action,
        "key": delivery.key,
        "occurred_at": delivery.occurred_at,
        "body": delivery.body,
        "body_sha256": delivery.body_sha256,
        "how": how,
    }
