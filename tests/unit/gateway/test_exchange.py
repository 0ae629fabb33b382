"""Which routes a request is sent to, and in which order."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from services.gateway.exchange import Exchange
from steward.ai.health import Door, Health
from steward.settings import Settings


class Board:
    """Every route but `well` is shut; each may be looked at once."""

    def __init__(self) -> None:
        self.now = {name: Health(1.0, None, Door.SHUT) for name in ("first", "second")}
        self.turns = ["first", "second"]

    async def may_probe(self, route):
        if route not in self.turns:
            return False
        self.turns.remove(route)
        return True


def test_of_two_shut_routes_each_gets_its_turn_to_be_looked_at():
    plans = [SimpleNamespace(route=SimpleNamespace(name=name)) for name in ("well", "first", "second")]
    exchange = Exchange(Settings.model_construct(providers={}), None, None, Board(), None, stops=None)

    def order():
        asked, spared = asyncio.run(exchange._sparing(plans))
        return [each.route.name for each in asked], [each.route.name for each in spared]

    assert order() == (["first", "well"], ["second"])
    assert order() == (["second", "well"], ["first"])
    assert order() == (["well"], ["first", "second"])
