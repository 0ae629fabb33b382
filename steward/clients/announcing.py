"""Telling a receiver of webhooks, in the form of Standard Webhooks: https://www.standardwebhooks.com."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import JsonValue
from standardwebhooks.webhooks import Webhook

from steward.clients.receivers import Answer, Question, Receiver, ask
from steward.clients.secrets import read_secret
from steward.settings import Announce, Vault
from steward.webhooks.signatures import signed_secret

_RECEIVER = Receiver("the receiver of webhooks", "see [pipeline.announce], and the receiver's log")
_SECONDS = 20.0


def announce(told: Announce, vault: Vault | None, identity: str, message: Mapping[str, JsonValue]) -> Answer:
    """What *message*, known by *identity*, is answered: its receiver takes a second one for the first.

    Raises ReceiverUnavailable (transient), ReceiverRefused, and what reading the secret raises.
    """
    body = json.dumps(message, separators=(",", ":"))
    now = datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "webhook-id": identity,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(announce_key(told, vault)).sign(identity, now, body),
    }
    return ask(_RECEIVER, Question("POST", told.url, headers, body.encode()), _SECONDS)


def announce_key(told: Announce, vault: Vault | None) -> bytes:
    """What deliveries are signed with. Raises BadInput for a secret that is none, and what reading it raises."""
    return signed_secret(read_secret(told.secret, vault))
