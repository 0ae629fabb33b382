"""Lines without usage, usage without lines, and amounts that are hardly there."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from steward.costs.causes import Cause
from steward.costs.values import Terms
from tests.unit.costs.ground import GATEWAY, Ground, dollars, exact, micro
from tests.unit.costs.rates_ground import LISTED, LUNA, PROVIDERS, agreed, openai


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_line_without_usage_has_no_cause(provider):
    ground = Ground(provider)
    ground.both(input=1000, output=10)
    model = "sol" if provider == "openai" else "sonnet"
    ground.line("input_cached", "0.25", model=model, tier="default")
    day = ground.day()
    assert day.shares == ()
    assert day.unexplained == Decimal("0.25")


def test_a_line_without_usage_takes_no_part_in_a_discount():
    ground = openai(terms=agreed("0.1"))
    ground.multipliers[""] = Fraction("0.9")
    ground.line("cache_write", "0.25", model="sol", tier="default")
    day = ground.day()
    assert dollars(day) == {Cause.DISCOUNT: -(LISTED + LUNA) / 10}
    assert all(share.amount for share in day.shares)
    assert day.unexplained == Decimal("0.25")


def test_a_line_without_usage_of_a_model_without_a_price_is_no_error():
    ground = openai()
    ground.line("output", "0.25", model="mystery", tier="default")
    assert ground.day().unexplained == Decimal("0.25")


def test_usage_without_a_line_in_a_final_bill_has_no_cause_and_no_discount():
    ground = openai(terms=agreed("0.1"))
    ground.multipliers[""] = Fraction("0.9")
    ground.both(cached=500_000)
    bill = ground.bill()
    day = ground.day(ground.bill(lines=[line for line in bill.lines if line.item != "input_cached"]))
    assert dollars(day) == {Cause.DISCOUNT: -(8000 * micro(2) + 900 * micro(10) + LUNA) / 10}
    assert Fraction(day.unexplained) == -502_000 * micro("0.2")


def test_usage_without_a_line_may_still_get_one_while_the_bill_is_not_final():
    ground = openai(final=False)
    bill = ground.bill()
    day = ground.day(ground.bill(lines=[line for line in bill.lines if line.model != "luna"]))
    assert dollars(day) == {Cause.NOT_YET_STATED: -LUNA}
    assert day.unexplained == 0


def test_a_line_of_almost_nothing_for_much_use_is_no_multiplier():
    ground = Ground()
    ground.both(input=500_000)
    (line,) = ground.bill().lines
    day = ground.day(ground.bill(lines=[replace(line, amount=Decimal("1E-12"))]))
    assert day.shares == ()
    assert day.unexplained == Decimal("1E-12") - 1


def test_a_share_is_never_of_no_dollars():
    ground = openai(terms=Terms(gateway_keys=GATEWAY, committed_tiers=frozenset({"priority"})))
    ground.line("output", "0", model="sol", tier="priority")
    ground.line("Images", "0")
    assert ground.day().shares == ()


def test_an_amount_of_seventeen_digits_is_kept_whole():
    """OpenAI states floats."""
    ground = openai()
    ground.line("Images", "0.13080438340307526")
    day = ground.day()
    assert day.billed == Decimal("0.13080438340307526") + exact(LISTED + LUNA)
    assert day.unexplained == 0
