"""Attempts and hours that the bill has twice."""

from __future__ import annotations

import pytest

from steward.costs.causes import Cause
from tests.unit.costs.ground import Ground, explained, micro


def test_an_attempt_that_the_bill_has_once_more_is_told_by_its_quantities():
    ground = Ground()
    ground.both(input=901, output=93)
    ground.both(input=411, output=7)
    ground.billed(input=901, output=93)
    assert explained(ground) == {Cause.STATED_TWICE: 901 * micro(2) + 93 * micro(10)}


def test_an_attempt_stated_twice_is_told_where_requests_are_not_counted():
    ground = Ground("anthropic")
    ground.both(input=901, output=93)
    ground.both(input=411, output=7)
    ground.billed(input=411, output=7)
    assert explained(ground) == {Cause.STATED_TWICE: 411 * micro(3) + 7 * micro(15)}


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_an_attempt_stated_twice_is_told_beside_a_swap(provider):
    ground = Ground(provider)
    ground.both(input=901, output=93)
    ground.both(input=411, output=7)
    ground.billed(input=901, output=93)
    ground.billed(input=1000, cached=3000, output=50)
    ground.entered(input=4000, output=50)
    found = explained(ground)
    assert set(found) == {Cause.STATED_TWICE, Cause.CACHE_SPLIT}
    read, cached, written = {"openai": (2, "0.2", 10), "anthropic": (3, "0.3", 15)}[provider]
    assert found[Cause.STATED_TWICE] == 901 * micro(read) + 93 * micro(written)
    assert found[Cause.CACHE_SPLIT] == 3000 * (micro(cached) - micro(read))


def _busy(ground, hour=10):
    """Attempts of six projects; what they come to is odd."""
    for number in range(6):
        ground.both(hour=hour, project=f"p{number}", input=1001 + 2 * number, output=101 + 4 * number)
    return sum(1001 + 2 * number for number in range(6)), sum(101 + 4 * number for number in range(6))


@pytest.mark.parametrize("bucket", [3600, 60])
def test_an_hour_that_the_bill_has_twice_is_told_by_its_even_figures_whatever_else_it_has(bucket):
    ground = Ground(bucket=bucket)
    _busy(ground, 9)
    read, written = _busy(ground)
    ground.entered(minute=5, input=4000, output=51)
    ground.billed(minute=5, input=1000, cached=3000, output=51)
    for cell, quantity in list(ground.usage.items()):
        if cell[0].hour // 3600 == ground.cell(10).hour // 3600:
            ground.usage[cell] += quantity
    for cell in list(ground.requests):
        if cell.hour // 3600 == ground.cell(10).hour // 3600:
            ground.requests[cell] *= 2
    once_more = (read + 1000) * micro(2) + 3000 * micro("0.2") + (written + 51) * micro(10)
    assert explained(ground) == {
        Cause.STATED_TWICE: once_more,
        Cause.CACHE_SPLIT: 3000 * (micro("0.2") - micro(2)),
    }


@pytest.mark.parametrize("bucket", [3600, 60])
def test_a_long_prompt_of_an_hour_that_the_bill_has_twice_is_stated_twice_at_its_own_rate(bucket):
    ground = Ground(bucket=bucket)
    read, written = _busy(ground)
    ground.both(minute=5, context="long", input=300_001, output=77)
    for counted in (ground.usage, ground.requests, ground.long_tokens):
        for name in list(counted):
            counted[name] *= 2
    once_more = (read + 300_001 * 2) * micro(2) + written * micro(10) + 77 * micro(15)
    assert explained(ground) == {Cause.STATED_TWICE: once_more}


def test_a_long_prompt_that_the_bill_has_once_more_is_stated_twice_at_its_own_rate():
    ground = Ground()
    ground.both(input=411, output=7)
    ground.both(context="long", input=300_001, output=77)
    ground.billed(context="long", input=300_001, output=77)
    assert explained(ground) == {Cause.STATED_TWICE: 300_001 * micro(4) + 77 * micro(15)}


def test_an_hour_with_other_attempts_of_even_figures_is_not_stated_twice():
    ground = Ground()
    for number in range(8):
        ground.both(project=f"p{number}", times=2, input=1001 + 2 * number, output=101 + 4 * number)
    assert explained(ground) == {}


def test_two_more_requests_are_no_single_attempt_stated_twice():
    ground = Ground()
    ground.both(input=900, output=90)
    ground.billed(input=900, output=90, requests=2)
    day = ground.day()
    assert day.shares == ()
    assert day.unexplained == day.billed - day.ledger
