"""In which order the routes of an alias are tried for one request."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from steward.ai.catalog import Route
from steward.ai.health import UNUSED, Door, Health


def order(routes: Sequence[Route], health: Mapping[str, Health], chosen: random.Random) -> list[Route]:
    """Routes that are open, by chance and weight times score; then those that are shut, the best first.

    A shut one is asked by whoever is let in to see how it is, where an open one failed, and by everybody where all are shut:
    to answer nobody because nobody was answered would be an outage of our own.
    """
    known = {route.name: health.get(route.name, UNUSED) for route in routes}
    is_open = [route for route in routes if known[route.name].door is Door.OPEN]
    shut = [route for route in routes if known[route.name].door is Door.SHUT]
    # Exponentials at these rates come in the order of draws without replacement (Efraimidis and Spirakis, 2006).
    arrival = {route.name: chosen.expovariate(1.0) / _pull(route, known[route.name]) for route in is_open}
    return [
        *sorted(is_open, key=lambda route: arrival[route.name]),
        *sorted(shut, key=lambda route: -_pull(route, known[route.name])),
    ]


def _pull(route: Route, health: Health) -> float:
    # Never nothing: a route that fails half of the time still has to be seen to get well.
    return route.weight * max(health.score, 0.01)
