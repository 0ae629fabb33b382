"""Slack's incoming webhooks, and what takes the same: `{"text": …, "blocks": […]}` by POST, answered by 200.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

from __future__ import annotations

import json

from steward.clients.receivers import Question, Receiver, ask
from steward.clients.secrets import read_secret
from steward.settings import SlackTarget, Vault

_RECEIVER = Receiver("the webhook", "see whether the secret of url in [notices.targets.…] is the webhook's address")


def send_to_slack(target: SlackTarget, vault: Vault | None, text: str, seconds: float) -> None:
    """Post *text*, which is mrkdwn. It cannot be found again: a second call is a second message.

    Raises ReceiverUnavailable, ReceiverRefused, and what reading the secret raises.
    """
    url = read_secret(target.url, vault)
    headers = {"content-type": "application/json; charset=utf-8"}
    ask(_RECEIVER, Question("POST", url, headers, body_of(text)), seconds)


def body_of(text: str) -> bytes:
    """One plain block; and the same as `text`, which is all that compatible receivers, and notifications, show."""
    block = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    return json.dumps({"text": text, "blocks": [block]}, ensure_ascii=False).encode()
