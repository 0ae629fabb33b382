"""What a ring does when it is lost, stale, of another length, or its clock is set back; the clock is the test's."""

import pytest

from steward.ratelimit import INBOUND, Cost, Policy
from tests.integration.ratelimit.rings import RING, RING_SECONDS, denied, reserve

pytestmark = pytest.mark.without_search


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
