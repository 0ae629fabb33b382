"""A ticket is good for one request, and not for long."""

import math

import pytest

from steward.ratelimit import Cost, Limiter, Limits, Policy, Ring
from steward.ratelimit.errors import TicketDied, TicketUsed


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def reserved(clock, policy, answered_after=0.0):
    def call(*_):
        clock.now += answered_after
        return [1, 1_000, "epoch"]

    return Limiter(call, clock=clock).reserve(Ring("a"), Limits(10), policy, "acme", Cost(1, 5, 5))


def test_it_may_be_sent_until_the_dispatch_time_is_over(clock):
    ticket = reserved(clock, Policy())
    clock.now += 1.999
    assert ticket.alive()
    ticket.send()
    assert not ticket.alive()


def test_it_dies_unsent(clock):
    ticket = reserved(clock, Policy())
    clock.now += 2
    assert not ticket.alive()
    with pytest.raises(TicketDied, match="died"):
        ticket.send()
    assert not ticket.sent


def test_its_time_runs_from_before_redis_was_asked(clock):
    assert not reserved(clock, Policy(), answered_after=2.0).alive()
    assert reserved(clock, Policy(), answered_after=1.9).alive()


def test_it_is_good_for_one_request_alone(clock):
    ticket = reserved(clock, Policy())
    ticket.send()
    with pytest.raises(TicketUsed):
        ticket.send()


def test_where_nothing_is_sent_it_does_not_die(clock):
    assert reserved(clock, Policy(dispatch_seconds=0)).dies_at == math.inf


def test_a_ticket_leaves_the_network_its_time():
    clock = Clock()
    assert reserved(clock, Policy(dispatch_seconds=4, transit_seconds=2)).dies_at == reserved(clock, Policy()).dies_at


def test_what_was_sent_was_a_request_whatever_became_of_it(clock):
    ticket = reserved(clock, Policy())
    assert ticket.used(Cost(0)) == Cost(0)
    ticket.send()
    assert ticket.used(Cost(0, 3, 1)) == Cost(1, 3, 1)
    assert ticket.used(Cost(2, 3, 1)) == Cost(2, 3, 1)


def test_cancelling_what_was_sent_says_nothing(clock):
    ticket = reserved(clock, Policy())
    ticket.send()
    Limiter(lambda *_: pytest.fail("nothing is to be given back")).cancel(ticket)
