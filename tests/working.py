"""The replica's worker rests while no test is about what is deployed.

It asks Prefect's server twice a second whether there is something to do, which keeps both of them busy in each lane of
`make test`, and few tests have anything for it to do.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from replica import start, stop
from replica.server import Place
from replica.servers import SERVERS
from replica.supervision import Keeper

_WORKER = "worker"


def rest(place: Place) -> None:
    """Ended if it is up. Once it was, its pool is there, and takes deployments without it."""
    if Keeper(place.state).process(_WORKER).state.is_up:
        stop.down(place.state, SERVERS, [_WORKER])


@contextmanager
def working(place: Place) -> Generator[None]:
    """Online meanwhile, and as it was afterwards."""
    rested = not Keeper(place.state).process(_WORKER).state.is_up
    start.up(place.state, SERVERS, [_WORKER])
    try:
        yield
    finally:
        if rested:
            rest(place)
