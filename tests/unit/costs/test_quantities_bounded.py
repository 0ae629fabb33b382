"""What the ledger knows within bounds alone: attempts without an end, and streams whose tokens were guessed."""

from __future__ import annotations

import pytest

from steward.costs.causes import Cause
from tests.unit.costs.ground import Ground, dollars, explained, micro, tokens


@pytest.mark.parametrize(("provider", "read", "written"), [("openai", 2, 10), ("anthropic", 3, 15)])
def test_an_attempt_without_an_end_that_was_billed_is_within_what_it_reserved(provider, read, written):
    ground = Ground(provider)
    ground.both(input=1000, output=100)
    ground.unknown((500, 4096))
    ground.billed(input=450, output=77)
    assert explained(ground) == {Cause.UNKNOWN_ATTEMPTS: 450 * micro(read) + 77 * micro(written)}


def test_an_attempt_without_an_end_that_was_not_billed_is_no_difference():
    ground = Ground()
    ground.both(input=1000, output=100)
    ground.unknown((500, 4096))
    assert explained(ground) == {}


def test_an_attempt_without_an_end_explains_no_more_than_it_reserved():
    ground = Ground()
    ground.both(input=1000, output=100)
    ground.unknown((500, 50))
    ground.billed(input=600, output=77)
    day = ground.day()
    assert dollars(day) == {Cause.UNKNOWN_ATTEMPTS: 500 * micro(2) + 50 * micro(10)}
    assert day.left == ((ground.told(), tokens(input=100, output=27)),)
    assert day.unexplained == 100 * micro(2) + 27 * micro(10)


def test_no_request_too_many_is_no_attempt_without_an_end():
    ground = Ground()
    ground.both(input=1000, output=100)
    ground.unknown((500, 4096))
    ground.billed(input=10, requests=0)
    assert ground.day().shares == ()


def test_a_stream_that_wrote_more_than_was_seen_is_explained_within_its_bounds():
    ground = Ground("anthropic")
    ground.entered(input=1000, output=100, estimate=(0, 0, 0, 40))
    ground.billed(input=1000, output=133)
    assert explained(ground) == {Cause.ESTIMATED_STREAMS: 33 * micro(15)}


def test_a_prompt_guessed_too_high_is_explained_within_its_bounds():
    ground = Ground()
    ground.entered(input=1250, output=100, estimate=(1250, 0, 0, 4000))
    ground.billed(input=1000, output=118)
    assert explained(ground) == {Cause.ESTIMATED_STREAMS: 18 * micro(10) - 250 * micro(2)}


def test_a_stream_explains_no_more_than_its_bounds():
    ground = Ground("anthropic")
    ground.entered(input=1000, output=100, estimate=(0, 0, 0, 20))
    ground.billed(input=1000, output=150)
    day = ground.day()
    assert dollars(day) == {Cause.ESTIMATED_STREAMS: 20 * micro(15)}
    assert day.unexplained == 30 * micro(15)
