"""The signed form: what any sender tells in the shape that Standard Webhooks recommends.

`{"type": "release.candidate", "timestamp": "2026-11-27T10:00:00Z", "data": {…}}` under a `webhook-id` of the sender's choice. The
id is what the event is known by: a try that is repeated, hours later too, carries the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any

from pydantic import Field

from steward.webhooks.delivery import Delivery, payload_of
from steward.webhooks.errors import NoRule
from steward.webhooks.reading import Moment, Part, demand_header, read_part

ID = "webhook-id"


class _Body(Part):
    type: Annotated[str, Field(strict=True, pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$", max_length=100)]
    timestamp: Moment
    data: Mapping[str, Any]


def read(source: str, headers: Mapping[str, str], body: bytes) -> Delivery:
    """The delivery of *source* that *headers*, by lower-case names, and *body* are. Whether it is genuine is not asked here.

    Raises BadHeader and MalformedBody.
    """
    delivery = demand_header(headers, ID)
    payload = payload_of(body)
    read_body = read_part(_Body, payload, "signed delivery")
    return Delivery(
        source=source,
        kind="signed",
        delivery=delivery,
        event=read_body.type,
        action=None,
        key=f"{read_body.type}/{delivery}",
        occurred_at=read_body.timestamp,
        body=body,
        payload=payload,
    )


def demand_rule(delivery: Delivery, known: Collection[str]) -> None:
    """Raises NoRule where *known*, the types that rules name for its source, lack its type: its sender is told, not ignored."""
    if delivery.event not in known:
        raise NoRule(
            f"no rule names the type {delivery.event} of {delivery.source}; known: "
            f"{', '.join(sorted(known)) or 'none'}",
            hint="mend the type, or add a rule; docs/webhook-rules.md",
        )
