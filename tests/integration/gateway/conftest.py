"""Twins and a worker for all tests of the package; each test begins with an empty ledger and twins that do nothing wrong."""

from __future__ import annotations

import time
from collections.abc import Generator

import pytest

from replica import inventory
from services.gateway import admission, health, stops
from steward.clients.ratelimit import load_functions, open_limiter
from steward.clients.redis import open_redis
from steward.migrations.apply import migrate
from steward.ratelimit import Cost, Limits, Policy, Ring
from steward.ratelimit.errors import LimitReached
from steward.settings import load
from tests.integration.fresh_database import fresh_database
from tests.integration.gateway.ground import ROUTES, Running
from tests.keyring_ground import query
from tests.testbed.providers.ground import Twins, running_twins

#: A ring of three seconds: what nothing is known of starts exhausted, and tests would wait for a minute.
POLICY = Policy(window_seconds=1, dispatch_seconds=1)


@pytest.fixture(scope="package")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Generator[Twins]:
    with running_twins(tmp_path_factory.mktemp("twins")) as running:
        yield running


@pytest.fixture(scope="package")
def worker(replica, twins, tmp_path_factory) -> Generator[Running]:
    with fresh_database(load(inventory.settings_file(replica))) as settings, pytest.MonkeyPatch.context() as patch:
        migrate(settings)
        load_functions(settings)
        patch.setattr(admission, "POLICY", POLICY)
        patch.setattr(health, "SHARE_SECONDS", 0.02)
        patch.setattr(stops, "READ_SECONDS", 0.02)
        _opened(settings)
        with Running(settings, twins, tmp_path_factory.mktemp("gateway")) as running:
            yield running


def _opened(settings) -> None:
    """Every ring past its exhausted start, and past what a provider asked for."""
    with open_limiter(settings) as limiter:
        waiting = set(ROUTES)
        while waiting:
            for name in sorted(waiting):
                try:
                    limiter.cancel(
                        limiter.reserve(
                            Ring(f"{name.partition(':')[0]}:{name}"), Limits(10_000), POLICY, "nobody", Cost(1)
                        )
                    )
                    waiting.discard(name)
                except LimitReached:
                    pass
            time.sleep(0.1)


@pytest.fixture
def gateway(worker: Running, twins: Twins) -> Running:
    twins.admin("POST", "/begin-anew")
    twins.admin("PUT", "/limits", {"mode": "off"})
    worker.attempts()
    worker.begin()
    query(worker.settings, "ALTER TABLE steward.ai_attempts DISABLE TRIGGER USER")
    query(worker.settings, "DELETE FROM steward.ai_attempts")
    query(worker.settings, "ALTER TABLE steward.ai_attempts ENABLE ALWAYS TRIGGER guard")
    query(worker.settings, "ALTER TABLE steward.ai_attempts ENABLE ALWAYS TRIGGER append_only")
    _opened(worker.settings)
    with open_redis(worker.settings, "gateway") as redis:
        _all_well(worker, redis)
    return worker


def _all_well(worker, redis) -> None:
    """What earlier tests made of the routes is forgotten, by Redis and by the worker."""
    while True:
        for name in ROUTES:
            redis.delete(f"gateway:{{{name}}}:health")
        time.sleep(0.05)
        told = worker.metrics()
        scores = [line.rpartition(" ")[2] for line in told if line.startswith("steward_ai_route_score{")]
        if len(scores) == len(ROUTES) and set(scores) == {"1.0"}:
            return
