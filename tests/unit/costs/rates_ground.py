"""A day whose two models have several lines each, and what they come to at list prices."""

from __future__ import annotations

from decimal import Decimal

from steward.costs.values import Terms
from tests.unit.costs.ground import GATEWAY, Ground, micro

PROVIDERS = ("openai", "anthropic")
LISTED = 8000 * micro(2) + 2000 * micro("0.2") + 900 * micro(10)
LUNA = 3000 * micro(1) + 70 * micro(5)


def agreed(share):
    return Terms(gateway_keys=GATEWAY, discount=Decimal(share))


def openai(**others):
    """Two models, each with several lines."""
    ground = Ground(**others)
    ground.both(input=8000, cached=2000, output=900)
    ground.both(model="luna", input=3000, output=70)
    return ground
