"""What GitHub tells, and the rules that answer it."""

from __future__ import annotations

import json
import uuid

from steward.clients.postgres import connect
from steward.clients.webhook_inbox import keep
from steward.webhooks import github
from steward.webhooks.rules import FORMAT, rules_of
from tests.contract.github.payloads import whole
from tests.integration.dispatch_ground import starts
from tests.integration.webhooks_ground import deployment
from tests.unit.webhooks.test_deciding import gates

DECIDES = {
    "name": "protect",
    "source": "github",
    "event": "deployment_protection_rule",
    "decide": "quality-gates",
    "release": "{deployment.sha:12}",
    "wait_minutes": 60,
}


def only(settings, delivery):
    """The one start of *delivery*."""
    (start,) = starts(settings, delivery)
    return start


def arrived(settings, event, payload):
    """The row of what GitHub tells."""
    headers = {"x-github-delivery": str(uuid.uuid4()), "x-github-event": event}
    with connect(settings) as db:
        return keep(db, github.read("github", headers, json.dumps(payload).encode(), now=None), "received").id


def told_of(settings, made):
    """The row of the delivery about the deployment *made* at GitHub."""
    return arrived(settings, "deployment", deployment(**made))


def deploys(target, **changes):
    """Rules that start *target* for each deployment at GitHub."""
    rule = {
        "name": "deploy",
        "source": "github",
        "event": "deployment",
        "deployment": target,
        "parameters": {"request": {"release": "{deployment.payload.release}"}},
    }
    return rules_of({"format": FORMAT, "rule": [rule | changes]})


def decides():
    """Rules that answer whether a run at GitHub may deploy."""
    return rules_of({"format": FORMAT, "rule": [DECIDES]})


def asks(url="http://127.0.0.1:1/repos/example/shop/actions/runs/12/deployment_protection_rule"):
    """A whole payload by which a run asks to be answered at *url*."""
    payload = whole("deployment_protection_rule", 0)
    payload["deployment"]["id"] = uuid.uuid4().int >> 80
    return payload | {"deployment_callback_url": url}


def proved(_db, _settings, release):
    """Evidence of every gate."""
    return gates(release)
