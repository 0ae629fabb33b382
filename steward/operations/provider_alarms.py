"""News of AI providers, recorded where the watch finds what Prefect has not been told: once, whoever saw them."""

from __future__ import annotations

import uuid
from typing import Any, LiteralString

from psycopg.types.json import Jsonb

from steward.ai.probing import ANSWERING, Probe, Standing
from steward.operations.ledger import Ledger

#: Stands in the place of an operation's name: Prefect's resource is `steward.ai.provider.ACCOUNT`.
PROVIDER = "ai.provider"
_NAMESPACE = uuid.UUID("0a4b7f43-6d55-5a52-9d9e-6c1f2f0a7e34")


def record_news(ledger: Ledger, event: str, probe: Probe, found: Standing) -> bool:
    """Record *event* of an account if the last that was told of it is another; that it is back, only if it was away.

    False: it was told before, by whatever watch. *probe*: the newest one.
    """
    values = {
        "id": uuid.uuid5(_NAMESPACE, f"{probe.account}|{event}|{found.since}"),
        "name": PROVIDER,
        "subject": probe.account,
        "event": event,
        "failing": found.state not in ANSWERING,
        "told": Jsonb(_payload(probe, found)),
    }
    return bool(ledger.query(_RECORD, **values))


def _payload(probe: Probe, found: Standing) -> dict[str, Any]:
    since = f"{found.since:%Y-%m-%d %H:%M:%S} UTC"
    # The newest may be one that could not be made, which says nothing of the provider.
    is_of_it = probe.state is found.state
    reason = f": {probe.error_class}" if is_of_it and probe.error_class else ""
    return {
        "account": probe.account,
        "provider": probe.provider,
        "state": found.state,
        "since": found.since.isoformat() if found.since else None,
        "http_status": probe.http_status if is_of_it else None,
        "error_class": probe.error_class if is_of_it else None,
        "message": f"{probe.account} ({probe.provider}) is {found.state} since {since}{reason}",
    }


# The first word about an account is never that it recovered.
_RECORD: LiteralString = """
INSERT INTO steward.operation_alarms (id, name, subject, event, overdue, told)
SELECT %(id)s, %(name)s, %(subject)s, %(event)s, %(failing)s, %(told)s
 WHERE coalesce((SELECT last.event <> %(event)s FROM steward.operation_alarms AS last
                  WHERE last.name = %(name)s AND last.subject = %(subject)s
                  ORDER BY last.occurred_at DESC LIMIT 1), %(failing)s)
ON CONFLICT (id) DO NOTHING
RETURNING id
"""
