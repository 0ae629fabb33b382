"""What a ring grants, denies, gives back and remembers; the clock is the test's."""

import pytest

from steward.ratelimit import INBOUND, Cost, Limits, Policy, Ring
from tests.integration.ratelimit.rings import LIMITS, RING, RING_SECONDS, denied, reserve

pytestmark = pytest.mark.without_search


def test_a_ring_nobody_knows_grants_nothing_for_its_whole_length(limiter, time):
    first = denied(limiter)
    assert (first.why, first.retry_after_seconds) == ("starting", RING_SECONDS)
    time.pass_by(RING_SECONDS - 0.01)
    assert denied(limiter).retry_after_seconds == pytest.approx(0.01, abs=0.0011)
    time.pass_by(0.01)
    reserve(limiter)


def test_a_limit_of_ours_begins_empty(limiter):
    assert reserve(limiter, policy=INBOUND).alive()


def test_an_idle_ring_grants_at_once_however_long_it_was_idle(opened, time):
    reserve(opened)
    time.pass_by(86_400)
    assert reserve(opened).alive()
    assert opened.show(RING).used == Cost(1, 100, 10)


@pytest.mark.parametrize(
    ("dimension", "cost"),
    [("requests", Cost(100)), ("input_tokens", Cost(1, 10_000)), ("output_tokens", Cost(1, 0, 5_000))],
)
def test_each_limit_denies_by_itself_and_says_when_it_frees(opened, time, dimension, cost):
    reserve(opened, cost)
    time.pass_by(10.25)
    refused = denied(opened, Cost(1, 1, 1))
    assert (refused.why, refused.dimension) == ("limit", dimension)
    assert refused.retry_after_seconds == RING_SECONDS - 10.25
    time.pass_by(refused.retry_after_seconds)
    reserve(opened, Cost(1, 1, 1))


def test_input_and_output_count_together_where_the_limit_is_on_both(opened):
    limits = Limits(100, tokens=1_000)
    reserve(opened, Cost(1, 600, 300), limits=limits)
    assert denied(opened, Cost(1, 60, 41), limits=limits).dimension == "tokens"
    reserve(opened, Cost(1, 60, 40), limits=limits)


def test_what_costs_nothing_is_not_held_up(opened):
    reserve(opened, Cost(1, 0, 5_000))
    reserve(opened, Cost(1, 100, 0))


def test_room_comes_back_second_by_second_in_the_order_it_was_taken(opened, time):
    for _ in range(10):
        reserve(opened, Cost(10))
        time.pass_by(1)
    assert denied(opened, Cost(20)).retry_after_seconds == RING_SECONDS - 9
    time.pass_by(RING_SECONDS - 10)
    reserve(opened, Cost(10))
    assert denied(opened, Cost(1)).retry_after_seconds == 1


def test_what_was_not_used_is_given_back_in_the_second_it_was_taken(opened, time):
    ticket = reserve(opened, Cost(1, 10_000, 100))
    time.pass_by(30)
    ticket.sent = True
    opened.settle(ticket, Cost(1, 4_000, 50))
    assert opened.show(RING).used == Cost(1, 4_000, 50)
    time.pass_by(RING_SECONDS - 30)
    assert opened.show(RING).used == Cost(0)


def test_a_settlement_counts_once_however_often_it_is_said(opened):
    kept, ticket = reserve(opened, Cost(1, 3_000)), reserve(opened, Cost(1, 5_000))
    for _ in range(3):
        opened.settle(ticket, Cost(1, 1_000, 7))
    assert opened.show(RING).used == Cost(2, 4_000, 7)
    opened.settle(kept, Cost(1, 0, 0))
    assert opened.show(RING).used == Cost(2, 1_000, 7)


def test_an_overrun_is_a_debt_of_the_second_in_which_it_is_known(opened, time):
    ticket = reserve(opened, Cost(1, 9_000))
    time.pass_by(40)
    opened.settle(ticket, Cost(1, 25_000))
    assert opened.show(RING).used.input_tokens == 25_000
    time.pass_by(RING_SECONDS - 40)
    refused = denied(opened, Cost(1, 1))
    assert (refused.dimension, refused.retry_after_seconds) == ("input_tokens", 40)
    time.pass_by(40)
    reserve(opened, Cost(1, 1))


def test_an_overrun_counts_even_when_its_reservation_has_left_the_ring(opened, time):
    ticket = reserve(opened, Cost(1, 9_000))
    time.pass_by(600)
    opened.settle(ticket, Cost(1, 9_500))
    assert opened.show(RING).used == Cost(0, 500)


def test_nothing_is_given_back_of_what_has_left_the_ring(opened, time):
    ticket = reserve(opened, Cost(1, 9_000))
    time.pass_by(RING_SECONDS)
    other = reserve(opened, Cost(1, 9_000))
    opened.settle(ticket, Cost(1, 1))
    assert opened.show(RING).used == other.cost


def test_an_unsent_ticket_is_given_back_whole(opened):
    opened.cancel(reserve(opened, Cost(1, 9_000, 5_000)))
    assert opened.show(RING).used == Cost(0)


def test_of_a_sent_ticket_nothing_comes_back_by_cancelling(opened):
    ticket = reserve(opened, Cost(1, 9_000, 5_000))
    ticket.send()
    opened.cancel(ticket)
    opened.settle(ticket, Cost(0, 0, 0))
    assert opened.show(RING).used == Cost(1, 0, 0)


def test_a_tenant_has_at_most_its_share(opened, time):
    policy = Policy(tenant_share=0.25)
    reserve(opened, Cost(25), "greedy", policy=policy)
    refused = denied(opened, Cost(1), "greedy", policy=policy)
    assert (refused.why, refused.dimension, refused.retry_after_seconds) == ("share", "requests", RING_SECONDS)
    reserve(opened, Cost(1), "other", policy=policy)
    time.pass_by(RING_SECONDS)
    reserve(opened, Cost(25), "greedy", policy=policy)


def test_a_denial_forgets_nothing_that_is_still_to_be_taken_off(opened, time):
    policy = Policy(tenant_share=0.25)
    reserve(opened, Cost(10), policy=policy)
    time.pass_by(50)
    reserve(opened, Cost(15), policy=policy)
    time.pass_by(45)
    assert denied(opened, Cost(15), policy=policy).why == "share"
    time.pass_by(1)
    reserve(opened, Cost(10), policy=policy)


def test_what_a_tenant_gives_back_is_its_own_again(opened):
    policy = Policy(tenant_share=0.5)
    ticket = reserve(opened, Cost(1, 5_000), policy=policy)
    opened.settle(ticket, Cost(1, 1_000))
    reserve(opened, Cost(1, 4_000), policy=policy)
    assert denied(opened, Cost(1, 1), policy=policy).why == "share"


def test_showing_changes_nothing(client, opened, time):
    reserve(opened)
    time.pass_by(5)
    before = client.hgetall(RING.key())
    opened.show(RING, LIMITS)
    assert client.hgetall(RING.key()) == before
    assert opened.show(Ring("openai:main:unknown")).known is False
    assert not client.exists(Ring("openai:main:unknown").key())


def test_every_key_of_a_ring_lies_in_its_slot(client, opened):
    opened.settle(reserve(opened, tenant="a}{b"), Cost(1, 1, 1))
    reserve(opened, Cost(99))
    denied(opened, Cost(1))
    keys = client.keys("limit:*")
    assert len(keys) == 6
    assert all(key.startswith("limit:{openai:main:gpt}") for key in keys)


def test_a_ring_takes_little_memory_after_hours_of_use(client, opened, time):
    for _ in range(130):
        time.pass_by(1)
        reserve(opened, Cost(1))
    # State, and a field for each second of the ring and of what is remembered.
    assert client.hlen(RING.key()) <= 1 + RING_SECONDS + 31
