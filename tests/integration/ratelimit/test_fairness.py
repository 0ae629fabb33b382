"""Tenants who want more than there is: each gets by its weight, however often it asks; the clock is the test's."""

import random
from collections import Counter

import pytest

from steward.ratelimit import Cost, Limits, Policy, Ring
from steward.ratelimit.errors import LimitReached
from steward.ratelimit.wire import Wanted, granted, reserve
from tests.integration.ratelimit import ground

pytestmark = pytest.mark.without_search

RING, LIMITS, POLICY = Ring("openai:main:gpt"), Limits(50), Policy(window_seconds=8, dispatch_seconds=1)


class Crowd:
    """Clients that wait for one request at a time, are served for a while, and want the next."""

    def __init__(self, client, time, seed=7) -> None:
        self.time, self.lot = time, random.Random(seed)
        self.call = ground.caller(client)
        self.granted: Counter[str] = Counter()
        self.ask("nobody", Cost())
        time.pass_by(POLICY.ring_seconds)

    def ask(self, tenant, cost, weight=1.0) -> float | None:
        """None when it was granted; else how long until it asks again, as `acquire` does."""
        try:
            wanted = Wanted(RING, LIMITS, POLICY, tenant, cost, weight)
            granted(self.call(*reserve(wanted)), wanted)
        except LimitReached as refused:
            return max(0.02, min(refused.retry_after_seconds, 0.5) * self.lot.uniform(0.5, 1))
        self.granted[tenant] += cost.requests
        return None

    def contend(self, clients, seconds):
        """*clients*: (tenant, cost, weight) of each."""
        due = [self.time.now() + self.lot.random() * POLICY.ring_seconds for _ in clients]
        end = self.time.now() + seconds
        while (moment := min(due)) < end:
            self.time.pass_by(max(0.0, moment - self.time.now()))
            first = due.index(moment)
            wait = self.ask(*clients[first])
            due[first] = self.time.now() + (self.lot.uniform(0.2, 0.6) if wait is None else wait)


@pytest.fixture
def crowd(client, time):
    return Crowd(client, time)


def test_a_tenant_with_many_requests_at_once_gets_no_more_than_one_with_few(crowd):
    crowd.contend([("greedy", Cost(), 1.0)] * 12 + [("modest", Cost(), 1.0)] * 4, seconds=40)
    assert crowd.granted["modest"] == pytest.approx(crowd.granted["greedy"], rel=0.2)


def test_tenants_get_by_their_weights(crowd):
    crowd.contend([("gold", Cost(), 3.0)] * 8 + [("basic", Cost(), 1.0)] * 8, seconds=40)
    assert crowd.granted["gold"] / crowd.granted["basic"] == pytest.approx(3, rel=0.15)


def test_who_wants_much_at_once_is_not_starved_by_many_who_want_little(crowd):
    crowd.contend([("large", Cost(10), 1.0)] + [("small", Cost(), 1.0)] * 6, seconds=40)
    assert crowd.granted["large"] == pytest.approx(crowd.granted["small"], rel=0.25)


def test_fairness_costs_little_of_the_limit(crowd):
    pollers = [(f"tenant-{number}", Cost(), 1.0) for number in range(8)]
    crowd.contend(pollers, seconds=40)
    assert crowd.granted.total() >= 0.93 * LIMITS.requests * 40 / POLICY.ring_seconds


def test_nobody_yields_to_a_tenant_that_has_gone(crowd, time):
    crowd.ask("patient", Cost(50))
    assert crowd.ask("gone", Cost()) is not None
    time.pass_by(POLICY.ring_seconds)
    assert crowd.ask("patient", Cost()) is None
    assert crowd.granted["patient"] == 51


def test_an_idle_tenant_saves_nothing_up(crowd, time):
    crowd.contend([("busy", Cost(), 1.0)] * 2, seconds=40)
    before = crowd.granted["busy"]
    crowd.contend([("busy", Cost(), 1.0)] * 2 + [("newcomer", Cost(), 1.0)] * 2, seconds=40)
    assert crowd.granted["newcomer"] == pytest.approx(crowd.granted["busy"] - before, rel=0.2)
