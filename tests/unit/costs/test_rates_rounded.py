"""Lines that a report has rounded: causes are found in them all the same, and what is left stays within a bound."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from steward.costs.causes import Cause
from tests.unit.costs.ground import Ground, Prices, dollars, micro
from tests.unit.costs.rates_ground import LISTED, LUNA, PROVIDERS, agreed, openai

#: Reports state dollars to a millionth at the coarsest.
UNIT = Fraction(1, 1_000_000)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_lines_that_are_rounded_have_no_cause_and_stay_within_the_bound(provider):
    ground = Ground(provider, rounded_to=UNIT)
    for hour in range(5):
        ground.both(hour=hour, input=30_123 + hour, cached=1789, output=333)
        ground.both(hour=hour, model="luna" if provider == "openai" else "haiku", input=77, cached=13, output=3)
    day = ground.day()
    assert day.shares == ()
    assert day.unexplained != 0
    assert abs(day.unexplained) <= day.bound


@pytest.mark.parametrize("share", ["0.05", "0.1", "0.5"])
def test_a_discount_is_found_in_lines_that_are_rounded(share):
    ground = openai(rounded_to=UNIT, terms=agreed(share))
    ground.both(input=30_121, cached=1787, output=333)
    ground.multipliers[""] = 1 - Fraction(share)
    day = ground.day()
    listed = LISTED + LUNA + 30_121 * micro(2) + 1787 * micro("0.2") + 333 * micro(10)
    assert dollars(day) == {Cause.DISCOUNT: -listed * Fraction(share)}
    assert abs(day.unexplained) <= day.bound


def test_a_discount_that_nobody_agreed_is_found_in_lines_that_are_rounded():
    ground = openai(rounded_to=UNIT)
    ground.both(input=30_121, cached=1787, output=333)
    ground.multipliers[""] = Fraction("0.93")
    day = ground.day()
    listed = LISTED + LUNA + 30_121 * micro(2) + 1787 * micro("0.2") + 333 * micro(10)
    assert dollars(day) == {Cause.DISCOUNT: -listed * Fraction("0.07")}
    assert abs(day.unexplained) <= day.bound


def test_a_price_change_is_found_in_lines_that_are_rounded_and_discounted():
    ground = openai(
        rounded_to=UNIT, terms=agreed("0.5"), prices=Prices({("sol", "input_cached"): [("2026-10-01", "0.3")]})
    )
    ground.both(cached=1789)
    ground.repriced["sol", "input_cached"] = Fraction("0.3")
    ground.multipliers[""] = Fraction("0.5")
    day = ground.day()
    assert dollars(day)[Cause.PRICE_CHANGE] == 3789 * micro("0.1")
    assert abs(day.unexplained) <= day.bound


def test_a_line_left_out_because_it_came_to_nothing_is_within_the_bound():
    ground = Ground(rounded_to=UNIT)
    ground.both(cached=2)
    day = ground.day(ground.bill(lines=[]))
    assert day.shares == ()
    assert day.unexplained == Decimal("-0.0000004")
    assert abs(day.unexplained) <= day.bound
