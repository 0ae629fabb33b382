"""Deliveries with a mark that no log and no answer may repeat, and moments as GitHub writes them."""

from __future__ import annotations

from tests.integration.webhooks_ground import deployment, raw

MARK = "a-word-of-the-body"


def marked(**changes):
    return raw({**deployment(**changes), "mark": MARK})


def at(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
