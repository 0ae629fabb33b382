"""What a ring learns from a provider's 429s and headers; the clock is the test's."""

import pytest

from steward.ratelimit import Cost, Limits, Seen
from steward.ratelimit.headers import Observed
from tests.integration.ratelimit.rings import LIMITS, RING, RING_SECONDS, denied, reserve

pytestmark = pytest.mark.without_search


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


def test_signals_about_a_ring_nobody_knows_make_none(client, limiter):
    limiter.throttled(RING, 5)
    limiter.observe(RING, Observed(requests=Seen(5, 5)))
    assert not client.exists(RING.key())
