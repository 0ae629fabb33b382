"""What a server does not know any more it does not grant: crashes and promotions of real servers, by their own clocks."""

import contextlib

import pytest

from steward.ratelimit import Cost, Limits, Policy, Ring
from steward.ratelimit.errors import LimitReached
from tests.integration.ratelimit import ground

pytestmark = pytest.mark.without_search

RING, LIMITS, POLICY = Ring("openai:main:gpt"), Limits(10), Policy(window_seconds=1, dispatch_seconds=0)


def opened(client):
    limiter = ground.limiter(client)
    limiter.acquire(RING, LIMITS, POLICY, "acme", Cost(), patience_seconds=5)
    return limiter


@pytest.fixture(params=ground.PROGRAMS)
def fresh(request, tmp_path):
    with ground.server(request.param, tmp_path / "master") as (server, client):
        yield request.param, server, client


def test_a_server_that_crashed_and_came_back_begins_exhausted_with_its_functions(fresh):
    _, server, client = fresh
    limiter = opened(client)
    client.config_set("appendfsync", "always")
    limiter.reserve(RING, LIMITS, POLICY, "acme", Cost())
    server.kill()
    again = ground.limiter(server.start())
    assert again.show(RING).stale
    with pytest.raises(LimitReached) as refused:
        again.reserve(RING, LIMITS, POLICY, "acme", Cost())
    assert refused.value.why == "starting"


def test_a_promoted_replica_begins_exhausted_with_its_functions(fresh, tmp_path):
    program, server, client = fresh
    limiter = opened(client)
    folder = tmp_path / "replica"
    folder.mkdir()
    replica = ground.Server(ground.program(program), folder)
    with contextlib.closing(replica.start()) as promoted:
        try:
            promoted.replicaof("127.0.0.1", server.port)
            ground.until(lambda: promoted.info("replication")["master_link_status"] == "up")
            limiter.reserve(RING, LIMITS, Policy(start="empty"), "acme", Cost())
            client.wait(1, 5_000)
            server.kill()
            promoted.execute_command("REPLICAOF", "NO", "ONE")
            after = ground.limiter(promoted)
            assert after.show(RING).stale
            with pytest.raises(LimitReached) as refused:
                after.reserve(RING, LIMITS, POLICY, "acme", Cost())
            assert refused.value.why == "starting"
        finally:
            replica.kill()
            server.start()
