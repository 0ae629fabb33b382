"""One delivery: what a sender told, read so far as to be stored once and matched with rules."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal, cast

from pydantic import JsonValue
from pydantic_core import from_json

from steward.webhooks.errors import MalformedBody

Payload = Mapping[str, JsonValue]
How = Literal["received", "reconciled"]
"""By its sender's own request, or found in the list that its sender keeps."""


@dataclass(frozen=True)
class Delivery:
    """Of one source. Within it `delivery`, `key` and the body are each unique."""

    source: str
    """Its name in the settings."""
    kind: Literal["github", "signed"]
    delivery: str
    """The sender's id: X-GitHub-Delivery, webhook-id."""
    event: str
    """X-GitHub-Event, or the signed form's `type`."""
    action: str | None
    """GitHub's; the signed form has none."""
    key: str
    """What happened, in the event's own words: `deployment/145988746/created`. A redelivery under another id has the same."""
    occurred_at: datetime
    """Aware."""
    body: bytes = field(repr=False)
    """As it was signed. Of a reconciled one, as the sender's API tells it: other bytes of the same payload."""
    payload: Payload = field(repr=False)
    """The whole body's object, `type` and `timestamp` of the signed form included."""

    @cached_property
    def body_sha256(self) -> bytes:
        """By which a body is known again once it is forgotten."""
        return hashlib.sha256(self.body).digest()


def payload_of(body: bytes) -> Payload:
    """The object that *body* is. Raises MalformedBody, which tells the place and not what stands there.

    NaN, lone surrogates and nesting without end are no JSON here. Of a key that is there twice the last counts: who signed the
    body has signed both.
    """
    try:
        read = from_json(body, allow_inf_nan=False, cache_strings="none")
    except ValueError as error:
        raise MalformedBody(f"the body is no JSON: {error}", hint="send one JSON object in UTF-8") from None
    if not isinstance(read, dict):
        raise MalformedBody(f"the body is a JSON {_NAMES[type(read)]}; expected an object", hint="send { … }")
    return cast("Payload", read)


_NAMES = {
    list: "array",
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    type(None): "null",
}
