"""What a ring grants, denies, gives back and remembers; the clock is the test's."""

import pytest

from steward.ratelimit import INBOUND, Cost, Limiter, Limits, Policy, Ring, Seen
from steward.ratelimit.errors import LimitReached
from steward.ratelimit.headers import Observed
from tests.integration.ratelimit import ground

pytestmark = pytest.mark.without_search

RING, LIMITS, POLICY = Ring("openai:main:gpt"), Limits(100, 10_000, 5_000), Policy()
#: 60 seconds, 2 for the dispatch and one more.
RING_SECONDS = 63
USUAL = Cost(1, 100, 10)


@pytest.fixture
def limiter(client, time):
    return Limiter(ground.caller(client), clock=time.now)


@pytest.fixture
def opened(limiter, time):
    """Past its exhausted start."""
    denied(limiter)
    time.pass_by(RING_SECONDS)
    return limiter


def reserve(limiter, cost=USUAL, tenant="acme", limits=LIMITS, policy=POLICY):
    return limiter.reserve(RING, limits, policy, tenant, cost)


def denied(limiter, *args, **kwargs) -> LimitReached:
    with pytest.raises(LimitReached) as caught:
        reserve(limiter, *args, **kwargs)
    return caught.value


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


def test_a_ticket_of_a_lost_life_gives_nothing_back_in_the_next(client, opened, time):
    ticket = reserve(opened, Cost(1, 5_000))
    client.delete(RING.key())
    denied(opened)
    opened.settle(ticket, Cost(1, 0))
    time.pass_by(RING_SECONDS)
    assert reserve(opened, Cost(1, 10_000)).epoch != ticket.epoch


def test_lost_state_begins_exhausted(client, opened, time):
    reserve(opened)
    for key in client.keys("limit:*"):
        client.delete(key)
    assert not opened.show(RING).known
    assert denied(opened).why == "starting"
    assert opened.show(RING).opens_in_seconds == RING_SECONDS


def test_state_of_another_replication_id_is_stale_and_begins_exhausted(client, opened, time):
    reserve(opened)
    client.execute_command("DEBUG", "CHANGE-REPL-ID")
    assert opened.show(RING).stale
    assert denied(opened).why == "starting"
    time.pass_by(RING_SECONDS)
    reserve(opened)
    assert opened.show(RING).used == Cost(1, 100, 10)


def test_a_limit_of_ours_goes_on_with_stale_counts(client, limiter, time):
    reserve(limiter, Cost(60), policy=INBOUND)
    client.execute_command("DEBUG", "CHANGE-REPL-ID")
    assert denied(limiter, Cost(60), policy=INBOUND).why == "limit"
    reserve(limiter, Cost(40), policy=INBOUND)


def test_a_clock_that_is_set_back_stands_still_until_it_has_caught_up(opened, time):
    reserve(opened, Cost(100))
    time.set_back(20)
    time.pass_by(RING_SECONDS)
    assert denied(opened, Cost(1)).why == "limit"
    time.pass_by(20)
    reserve(opened, Cost(1))


def test_a_clock_that_is_set_back_brings_nothing_into_the_ring_again(opened, time):
    gone = reserve(opened, Cost(60))
    time.pass_by(RING_SECONDS)
    reserve(opened, Cost(70))
    time.set_back(20)
    opened.settle(gone, Cost(0))
    assert opened.show(RING).used == Cost(70)


def test_a_clock_that_is_set_back_by_more_than_a_ring_begins_exhausted(opened, time):
    reserve(opened)
    time.set_back(7_200)
    assert denied(opened).why == "starting"
    time.pass_by(RING_SECONDS)
    reserve(opened)


def test_a_longer_ring_counts_what_the_shorter_one_had_let_go(opened, time):
    reserve(opened, Cost(90))
    time.pass_by(RING_SECONDS + 5)
    reserve(opened, Cost(1))
    assert denied(opened, Cost(10), policy=Policy(dispatch_seconds=10)).why == "limit"


def test_a_ring_longer_than_is_remembered_begins_exhausted(opened):
    assert denied(opened, policy=Policy(window_seconds=120)).why == "starting"


def test_a_shorter_ring_does_not_undercut_the_longer_one_of_others(opened, time):
    reserve(opened, Cost(100))
    time.pass_by(62)
    assert denied(opened, Cost(1), policy=Policy(dispatch_seconds=0)).retry_after_seconds == 1


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


def test_a_429_from_outside_shrinks_the_limit_and_waits_as_long_as_it_asks(opened, time):
    reserve(opened)
    opened.throttled(RING, 20)
    assert (denied(opened).why, denied(opened).retry_after_seconds) == ("throttled", 20)
    time.pass_by(20)
    assert opened.show(RING, LIMITS).allowed["requests"] == 80  # 0.7, and a tenth back in 20 s


def test_the_429s_of_one_burst_shrink_it_once(opened, time):
    for _ in range(5):
        opened.throttled(RING, 0)
        time.pass_by(0.5)
    assert opened.show(RING, LIMITS).factor == pytest.approx(0.7, abs=0.02)
    time.pass_by(0.5)
    opened.throttled(RING, 0)
    assert opened.show(RING, LIMITS).factor == pytest.approx(0.5, abs=0.02)


def test_what_a_429_took_is_back_within_a_window_and_never_all_of_it_goes(opened, time):
    for _ in range(40):
        opened.throttled(RING, 0)
        time.pass_by(3)
    assert 0.1 <= opened.show(RING, LIMITS).factor < 0.15
    time.pass_by(180)
    assert opened.show(RING, LIMITS).allowed["requests"] == 100


def test_a_request_above_a_shrunk_limit_waits_and_holds_nobody_up(opened, time):
    opened.throttled(RING, 0)
    assert denied(opened, Cost(90), "big").why == "shrunk"
    reserve(opened, Cost(1), "small")


def test_a_lower_limit_of_the_provider_becomes_ours_until_it_tells_of_another(opened):
    reserve(opened)
    opened.observe(RING, Observed(requests=Seen(50, 49)))
    assert opened.show(RING, LIMITS).allowed == {
        "requests": 50, "input_tokens": 10_000, "output_tokens": 5_000, "tokens": None,
    }  # fmt: skip
    opened.observe(RING, Observed(requests=Seen(500, 499)))
    assert opened.show(RING, LIMITS).allowed["requests"] == 100


def test_a_limit_that_is_not_told_again_is_forgotten(opened, time):
    opened.observe(RING, Observed(requests=Seen(1, 1)))
    assert opened.show(RING, LIMITS).allowed["requests"] == 1
    time.pass_by(601)
    assert opened.show(RING, LIMITS).allowed["requests"] == 100


def test_what_others_used_of_the_providers_limit_is_taken_into_account_once(opened, time):
    reserve(opened, Cost(10, 1_000))
    for _ in range(3):
        opened.observe(RING, Observed(requests=Seen(100, 60), input_tokens=Seen(10_000, 2_000)))
    assert opened.show(RING).used == Cost(40, 8_000)
    time.pass_by(RING_SECONDS)
    assert opened.show(RING).used == Cost(0)


def test_others_use_of_tokens_counts_where_input_and_output_are_one_limit(opened):
    limits = Limits(100, tokens=10_000)
    reserve(opened, Cost(1, 1_000, 500), limits=limits)
    opened.observe(RING, Observed(tokens=Seen(10_000, 4_000)))
    assert denied(opened, Cost(1, 4_001), limits=limits).dimension == "tokens"
    reserve(opened, Cost(1, 4_000), limits=limits)


def test_an_old_answer_is_held_against_what_was_in_the_ring_then(opened, time):
    reserve(opened, Cost(80))
    time.pass_by(60)
    reserve(opened, Cost(1))
    # The provider counted 81 when that request came; when its answer is read, 80 of them have left the ring.
    time.pass_by(4)
    opened.observe(RING, Observed(requests=Seen(100, 19), age_seconds=4))
    assert opened.show(RING).used.requests == 1


def test_an_answer_older_than_what_is_remembered_tells_nothing_of_use(opened):
    opened.observe(RING, Observed(requests=Seen(100, 0), age_seconds=31))
    assert opened.show(RING).used.requests == 0


def test_showing_changes_nothing(client, opened, time):
    reserve(opened)
    time.pass_by(5)
    before = client.hgetall(RING.key())
    opened.show(RING, LIMITS)
    assert client.hgetall(RING.key()) == before
    assert opened.show(Ring("openai:main:unknown")).known is False
    assert not client.exists(Ring("openai:main:unknown").key())


def test_signals_about_a_ring_nobody_knows_make_none(client, limiter):
    limiter.throttled(RING, 5)
    limiter.observe(RING, Observed(requests=Seen(5, 5)))
    assert not client.exists(RING.key())


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
