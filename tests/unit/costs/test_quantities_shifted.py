"""Attempts that are billed in the hour beside their own: found where they went, and costing nothing within the day."""

from __future__ import annotations

import pytest

from steward.costs.causes import Cause
from tests.unit.costs.ground import Ground, dollars, explained, micro


def test_an_attempt_near_its_hours_end_is_found_in_the_next_hour_and_costs_nothing():
    ground = Ground()
    ground.entered(hour=10, minute=59.9, input=700, cached=20, output=70)
    ground.billed(hour=11, input=700, cached=20, output=70)
    assert explained(ground) == {Cause.BOUNDARY_SHIFT: 0}


def test_an_attempt_near_its_hours_beginning_is_found_in_the_hour_before():
    ground = Ground("anthropic")
    ground.entered(hour=10, minute=0.2, input=700, output=70)
    ground.billed(hour=9, input=700, output=70)
    assert explained(ground) == {Cause.BOUNDARY_SHIFT: 0}


@pytest.mark.parametrize(("provider", "rate"), [("openai", 2), ("anthropic", 3)])
def test_an_attempt_at_midnight_is_billed_on_the_next_day_and_only_half_of_the_shift_is_this_days(provider, rate):
    ground = Ground(provider)
    ground.both(input=5000, output=1)
    ground.entered(hour=23, minute=59.5, input=700)
    ground.billed(hour=24, input=700)
    assert explained(ground) == {Cause.BOUNDARY_SHIFT: -700 * micro(rate)}


@pytest.mark.parametrize(("provider", "rate"), [("openai", 2), ("anthropic", 3)])
def test_an_attempt_of_yesterdays_last_minute_is_this_days_where_it_is_billed(provider, rate):
    ground = Ground(provider)
    ground.entered(hour=-1, minute=59.5, input=700)
    ground.billed(hour=0, input=700)
    assert explained(ground) == {Cause.BOUNDARY_SHIFT: 700 * micro(rate)}


def test_an_attempt_in_the_middle_of_its_hour_is_not_shifted():
    ground = Ground()
    ground.entered(hour=10, minute=30, input=700, output=70)
    ground.billed(hour=11, input=700, output=70)
    day = ground.day()
    assert Cause.BOUNDARY_SHIFT not in dollars(day)
    assert day.unexplained == 0
    assert len(day.left) == 2


def test_an_attempt_shifts_once():
    """Its neighbour of the same size, from the middle of the hour, does not."""
    ground = Ground()
    ground.entered(hour=10, minute=59.9, input=700, output=70)
    ground.entered(hour=10, minute=30, input=700, output=70)
    ground.billed(hour=11, times=2, input=700, output=70)
    day = ground.day()
    shifted = [share.quantity for share in day.shares if share.cause is Cause.BOUNDARY_SHIFT]
    assert sorted(shifted) == [-700, -70, 70, 700]


def test_a_day_whose_every_hour_is_shifted_is_shifts_alone_and_costs_nothing_but_the_last():
    ground = Ground(bucket=60)
    for hour in range(24):
        ground.both(hour=hour, input=30, output=3)
        ground.entered(hour=hour, minute=59.6, input=1000 + 17 * hour, output=100 + hour)
        ground.billed(hour=hour + 1, minute=0, input=1000 + 17 * hour, output=100 + hour)
    lost = (1000 + 17 * 23) * micro(2) + 123 * micro(10)
    assert explained(ground) == {Cause.BOUNDARY_SHIFT: -lost}


def test_attempts_that_shift_together_are_told_by_what_they_come_to():
    """Though another would fit as well, and leave something over."""
    ground = Ground(bucket=60)
    ground.both(hour=10, minute=59.5, input=611, output=287)
    for named in ({"input": 570, "output": 1507}, {"input": 134, "output": 278}):
        ground.entered(hour=10, minute=59.7, **named)
        ground.billed(hour=11, minute=0, **named)
    assert explained(ground) == {Cause.BOUNDARY_SHIFT: 0}


def test_a_shift_is_found_where_a_guess_hides_a_part_of_it():
    ground = Ground(bucket=60)
    ground.both(hour=10, minute=30, input=5, output=5)
    ground.entered(hour=10, minute=59.7, input=765, output=1108)
    ground.billed(hour=11, minute=0, input=765, output=1108)
    ground.entered(hour=11, minute=0.5, input=2436, output=483, estimate=(2436, 0, 0, 4109))
    ground.billed(hour=11, minute=0, input=1988, output=496)
    assert explained(ground) == {
        Cause.BOUNDARY_SHIFT: 0,
        Cause.ESTIMATED_STREAMS: 13 * micro(10) - (2436 - 1988) * micro(2),
    }


def test_a_shift_is_found_that_an_attempt_of_another_tier_hid():
    ground = Ground(bucket=60)
    ground.entered(hour=10, minute=59.7, input=6555, output=371)
    ground.billed(hour=11, minute=0, input=6555, output=371)
    ground.entered(hour=10, minute=59.2, tier="priority", input=1869, output=262)
    ground.billed(hour=10, minute=59, tier="default", input=1869, output=262)
    assert explained(ground) == {
        Cause.BOUNDARY_SHIFT: 0,
        Cause.SERVED_TIER: -1869 * micro(2) - 262 * micro(10),
    }


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_clock_that_is_a_minute_late_for_an_hour_hides_no_other_cause_of_it(provider):
    ground = Ground(provider, bucket=60)
    for minute in range(30, 91):
        late, (hour, told) = divmod(minute - 1, 60), divmod(minute, 60)
        named = {"input": 1000 + 370 * (minute % 7), "output": 10 + minute}
        ground.entered(hour=10 + late[0], minute=late[1] + 0.5, **named)
        ground.billed(hour=10 + hour, minute=told, **named)
    for hour in (10, 11):
        ground.entered(hour=hour, minute=15, input=4000, output=50)
        ground.billed(hour=hour, minute=15, input=1000, cached=3000, output=50)
    read, cached = {"openai": (2, "0.2"), "anthropic": (3, "0.3")}[provider]
    found = explained(ground)
    assert found.pop(Cause.BOUNDARY_SHIFT) == 0
    assert found == {Cause.CACHE_SPLIT: 2 * 3000 * (micro(cached) - micro(read))}


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("late", [47, -31])
def test_a_clock_moves_all_that_is_as_near_to_the_turn_though_none_of_it_fits_by_itself(provider, late):
    """Classes of both hours are swapped."""
    ground = Ground(provider, bucket=60)
    models = {"openai": ("sol", "luna", "terra"), "anthropic": ("sonnet", "haiku")}[provider]
    for model in models:
        for number in range(120):
            moment = 11 * 3600 + (number - 60) * 29 + 3
            named = {"model": model, "input": 1000 + 37 * (number * 7 % 31), "output": 10 + number}
            _at(ground.entered, moment - late, named)
            _at(ground.billed, moment, named)
        for hour in (10, 11):
            ground.entered(hour=hour, minute=20, model=model, input=90_000, cached=1000, output=50)
            ground.billed(hour=hour, minute=20, model=model, input=1000, cached=90_000, output=50)
    assert explained(ground) == {
        Cause.BOUNDARY_SHIFT: 0,
        Cause.CACHE_SPLIT: 2 * 89_000 * {"openai": -micro("4.0875"), "anthropic": -micro("3.6")}[provider],
    }


def _at(side, moment, named):
    """Seconds since midnight."""
    hour, seconds = divmod(moment, 3600)
    side(hour=hour, minute=seconds / 60, **named)


def test_attempts_at_the_turn_of_an_hour_stay_where_a_clock_would_explain_less_than_half_of_what_differs():
    ground = Ground(bucket=60)
    for minute in range(30, 58):
        ground.entered(hour=10, minute=minute + 0.9, input=100 + minute)
        ground.billed(hour=10, minute=minute + 1, input=100 + minute)
    ground.both(hour=10, minute=59.9, input=4100, output=41)
    ground.both(hour=11, minute=0.1, input=3900, output=39)
    ground.entered(hour=10, minute=45, input=50, output=5)
    assert Cause.BOUNDARY_SHIFT not in dollars(ground.day())


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_two_clocks_that_differ_within_the_hour_are_no_difference(provider):
    ground = Ground(provider, bucket=60)
    for minute in range(58):
        ground.entered(minute=minute + 0.9, input=100 + minute)
        ground.billed(minute=minute + 1, input=100 + minute)
    assert explained(ground) == {}


def test_shifts_are_found_of_a_cell_that_lacked_nothing_before_attempts_of_another_tier_were_taken_out_of_it():
    ground = Ground(bucket=60)
    for named in ({"input": 523, "output": 338}, {"input": 400, "output": 200}):
        ground.entered(hour=10, minute=59.7, **named)
        ground.billed(hour=11, minute=0, **named)
    ground.entered(hour=10, minute=59.2, tier="priority", input=975, output=566)
    ground.billed(hour=10, minute=59, tier="default", input=975, output=566)
    assert explained(ground) == {Cause.BOUNDARY_SHIFT: 0, Cause.SERVED_TIER: -975 * micro(2) - 566 * micro(10)}
