"""Both programs run the same functions."""

import pytest
import redis

from steward.ratelimit import Limiter
from tests.integration.ratelimit import ground, rings


@pytest.fixture(scope="session", params=ground.PROGRAMS)
def alone(request, tmp_path_factory):
    """One server for the whole run; whoever damages it starts another one."""
    with ground.server(request.param, tmp_path_factory.mktemp(request.param)) as (_, client):
        yield client


@pytest.fixture
def client(alone: redis.Redis):
    """Empty, with the functions as shipped."""
    alone.flushall()
    alone.function_load(ground.source(), replace=True)
    return alone


@pytest.fixture
def time(client: redis.Redis) -> ground.Time:
    """The server's clock and the world's, in the test's hand."""
    return ground.Time(client)


@pytest.fixture
def limiter(client, time):
    return Limiter(ground.caller(client), clock=time.now)


@pytest.fixture
def opened(limiter, time):
    """Past its exhausted start."""
    rings.denied(limiter)
    time.pass_by(rings.RING_SECONDS)
    return limiter
