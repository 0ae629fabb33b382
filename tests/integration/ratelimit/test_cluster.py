"""The limiter on the replica's cluster, as its own user, from several processes and from the event loop."""

import asyncio
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from replica import inventory, start
from replica.servers import SERVERS
from steward.__main__ import main
from steward.clients.ratelimit import open_async_limiter, open_limiter
from steward.clients.redis import open_redis
from steward.ratelimit import INBOUND, Cost, Limits, Policy, Ring, library
from steward.ratelimit.asgi import LimitMiddleware
from steward.ratelimit.errors import LimiterNotLoaded, LimiterUnavailable, LimitReached
from steward.settings import load
from tests.integration.ratelimit import ground

pytestmark = pytest.mark.without_search

LIMITS, SHORT = Limits(40), Policy(window_seconds=1, dispatch_seconds=1, start="empty")


@pytest.fixture(scope="module")
def cluster(replica):
    """Of the test run's replica, with the functions loaded by the command."""
    place = start.up(replica.state, SERVERS, ["redis-1"])
    settings = load(inventory.settings_file(place))
    assert main(["limits", "load", "--settings", str(inventory.settings_file(place))]) == 0
    return settings


@pytest.fixture
def settings_path(replica):
    return str(inventory.settings_file(replica))


def ring(name) -> Ring:
    """Of one test of one run."""
    return Ring(f"{name}:{time.time_ns()}")


def test_threads_tasks_and_the_shown_state_agree_on_one_ring(cluster):
    shared, policy = ring("agree"), Policy(start="empty")

    async def grab(count):
        async with open_async_limiter(cluster) as limiter:
            return await asyncio.gather(
                *(limiter.reserve(shared, LIMITS, policy, "acme", Cost()) for _ in range(count)), return_exceptions=True
            )

    with open_limiter(cluster) as limiter, ThreadPoolExecutor(4) as threads:
        held = list(threads.map(lambda _: limiter.reserve(shared, LIMITS, policy, "acme", Cost()), range(15)))
        rest = asyncio.run(grab(40))
        refused = [each for each in rest if isinstance(each, LimitReached)]
        assert (len(held), len(rest) - len(refused)) == (15, 25)
        assert limiter.show(shared).used == Cost(40)
        limiter.cancel(held[0])
        limiter.settle(held[1], Cost(0))
        assert limiter.show(shared).used == Cost(38)


def test_the_event_loop_settles_waits_and_learns_as_threads_do(cluster):
    shared = ring("async")

    async def work():
        async with open_async_limiter(cluster) as limiter:
            held = [await limiter.acquire(shared, LIMITS, SHORT, "acme", Cost(20), patience_seconds=0) for _ in "ab"]
            await limiter.cancel(held[0])
            await limiter.settle(held[1], Cost(10))
            used = (await limiter.show(shared)).used
            waited = await limiter.acquire(shared, LIMITS, SHORT, "acme", Cost(40), patience_seconds=5)
            await limiter.throttled(shared, 0)
            return used, waited, (await limiter.show(shared, LIMITS)).factor

    used, waited, factor = asyncio.run(work())
    assert used == Cost(10)
    assert waited.alive()
    assert factor < 1


_WORKER = """
import sys, time
from pathlib import Path
from steward.clients.ratelimit import open_limiter
from steward.ratelimit import Cost, Limits, Policy, Ring
from steward.ratelimit.errors import LimitReached
from steward.settings import load
policy = Policy(window_seconds=1, dispatch_seconds=1, start="empty")
with open_limiter(load(Path(sys.argv[1]))) as limiter:
    print("ready", flush=True)
    sys.stdin.readline()
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        try:
            ticket = limiter.acquire(Ring(sys.argv[2]), Limits(40), policy, sys.argv[3], Cost(), patience_seconds=0.2)
        except LimitReached:
            continue
        if ticket.alive():
            print(ticket.bucket, flush=True)
"""


def test_processes_share_one_limit(cluster, settings_path):
    shared = ring("processes")
    command = [sys.executable, "-c", _WORKER, settings_path, shared.name]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen([*command, tenant], **pipes) for tenant in ("acme", "globex")]
    # Whoever came a ring's length earlier would have had all of it.
    assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * 2
    for worker in workers:
        worker.stdin.write("\n")
        worker.stdin.flush()
    buckets = Counter[int]()
    for worker in workers:
        told, _ = worker.communicate(timeout=60)
        assert worker.returncode == 0
        assert told
        buckets.update(map(int, told.split()))
    # A ring is three seconds: window, dispatch and one more.
    rings = [sum(buckets[second] for second in range(first, first + 3)) for first in buckets]
    assert max(rings) == 40


def test_a_failover_begins_exhausted_on_the_new_master_and_clients_follow(cluster):
    shared = ring("failover")
    policy = Policy(window_seconds=1, dispatch_seconds=0)
    with open_limiter(cluster) as limiter, open_redis(cluster, "operator") as operator:
        limiter.acquire(shared, LIMITS, policy, "acme", Cost(), patience_seconds=5)
        master, replica = operator.nodes_manager.slots_cache[operator.keyslot(shared.key())][:2]
        assert operator.execute_command("CLUSTER FAILOVER", target_nodes=replica)

        def promoted() -> bool:
            operator.nodes_manager.initialize()
            return operator.get_node_from_key(shared.key()).port == replica.port

        ground.until(promoted)
        with pytest.raises(LimitReached) as refused:
            limiter.reserve(shared, LIMITS, policy, "acme", Cost())
        assert refused.value.why == "starting"
        assert master.port != operator.get_node_from_key(shared.key()).port
        limiter.acquire(shared, LIMITS, policy, "acme", Cost(), patience_seconds=5)


def test_functions_that_are_not_there_are_an_error_that_says_how_to_load_them(cluster, settings_path, capsys):
    with open_limiter(cluster) as limiter, open_redis(cluster, "operator") as operator:
        node = operator.get_node_from_key("limit:{absent}")
        operator.execute_command("FUNCTION DELETE", library.NAME, target_nodes=node)
        with pytest.raises(LimiterNotLoaded, match="python -m steward limits load") as missing:
            limiter.reserve(Ring("absent"), LIMITS, INBOUND, "acme", Cost())
        assert not missing.value.transient
        assert main(["limits", "load", "--settings", settings_path]) == 0
        told = capsys.readouterr().out.splitlines()
        assert sorted(line.partition(": ")[2].split(" ", 2)[2] for line in told) == [
            "are there already", "are there already", "loaded",
        ]  # fmt: skip
        limiter.reserve(Ring("absent"), LIMITS, INBOUND, "acme", Cost())


def test_the_command_says_what_a_ring_holds_and_why_nothing_is_granted(cluster, settings_path, capsys):
    shared = ring("shown")
    with open_limiter(cluster) as limiter:
        with pytest.raises(LimitReached):
            limiter.reserve(shared, LIMITS, Policy(), "acme", Cost())
        limiter.throttled(shared, 30)
    assert main(["limits", "show", shared.name, "nobody:knows:it", "--settings", settings_path]) == 0
    told = capsys.readouterr().out
    assert f"{shared.name}: 0 requests" in told
    assert "starts exhausted: it opens in 6" in told
    assert "left alone for" in told
    assert "70% of the limit" in told
    assert "nobody:knows:it: nothing is known of it" in told


def test_a_cluster_that_does_not_answer_is_unavailable_and_never_an_empty_ring(cluster):
    closed = cluster.redis.model_copy(
        update={"hosts": [f"{cluster.redis.hosts[0].partition('://')[0]}://127.0.0.1:{ground.free_port()}"]}
    )
    away = cluster.model_copy(update={"redis": closed})
    with pytest.raises(LimiterUnavailable, match="nobody knows") as refused, open_limiter(away) as limiter:
        limiter.reserve(ring("away"), LIMITS, INBOUND, "acme", Cost())
    assert refused.value.transient

    async def ask():
        async with open_async_limiter(away) as limiter:
            await limiter.reserve(ring("away"), LIMITS, INBOUND, "acme", Cost())

    with pytest.raises(LimiterUnavailable):
        asyncio.run(ask())


def test_the_middleware_limits_each_tenant_by_itself(cluster):
    name = ring("api").name

    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def statuses(tenants):
        async with open_async_limiter(cluster) as limiter:
            app = LimitMiddleware(
                application, limiter, name=name, tenant_of=lambda scope: scope["tenant"], limits_of=lambda _: Limits(2)
            )
            found = []

            async def send(message):
                found.append(message.get("status"))

            for tenant in tenants:
                await app({"type": "http", "tenant": tenant}, None, send)
            return [status for status in found if status]

    assert asyncio.run(statuses(["acme"] * 3 + ["überall & co"])) == [204, 204, 429, 204]
