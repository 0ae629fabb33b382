"""Telling a receiver of webhooks, in the form of Standard Webhooks: https://www.standardwebhooks.com."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import JsonValue
from standardwebhooks.webhooks import Webhook

from steward.clients.receivers import Question, Receiver, ask
from steward.clients.secrets import read_secret
from steward.errors import BadInput
from steward.settings import Announce, Vault

_RECEIVER = Receiver("the receiver of webhooks", "see [pipeline.announce], and the receiver's log")
_SECONDS = 20.0


def announce(told: Announce, vault: Vault | None, identity: str, message: Mapping[str, JsonValue]) -> None:
    """Send *message*, known by *identity*: its receiver takes a second one for the first.

    Raises ReceiverUnavailable (transient), ReceiverRefused, and what reading the secret raises.
    """
    body = json.dumps(message, separators=(",", ":"))
    now = datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "webhook-id": identity,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": _signed(read_secret(told.secret, vault), identity, now, body),
    }
    ask(_RECEIVER, Question("POST", told.url, headers, body.encode()), _SECONDS)


def _signed(secret: str, identity: str, now: datetime, body: str) -> str:
    try:
        return Webhook(secret).sign(identity, now, body)
    except (ValueError, RuntimeError):
        # Not chained: the error may quote the secret.
        told = "the secret of [pipeline.announce] signs nothing"
    raise BadInput(told, hint="expected whsec_ and 24 to 64 bytes in Base64")
