"""Why a line costs other than the list says: each cause alone, and where several meet in one line."""

from __future__ import annotations

from fractions import Fraction

import pytest

from steward.costs.causes import Cause
from steward.costs.values import Terms
from tests.unit.costs.ground import GATEWAY, Ground, Prices, dollars, exact, explained, micro
from tests.unit.costs.rates_ground import LISTED, LUNA, PROVIDERS, agreed, openai


@pytest.mark.parametrize("hours", [(10,), (0, 10, 23)])
def test_a_price_of_another_time_is_found_by_its_units(hours):
    ground = Ground("anthropic", prices=Prices({("sonnet", "input_cached"): [("2026-12-01", "0.5")]}))
    for hour in hours:
        ground.both(hour=hour, input=8000, cached=2000, output=900)
    ground.repriced["sonnet", "input_cached"] = Fraction("0.5")
    assert explained(ground) == {Cause.PRICE_CHANGE: len(hours) * 2000 * micro("0.2")}


def test_a_price_of_another_time_is_no_discount_though_it_is_of_most_of_the_dollars():
    ground = Ground(prices=Prices({("sol", "output"): [("2026-10-01", "12")]}))
    ground.both(input=1000, output=5000)
    ground.repriced["sol", "output"] = Fraction(12)
    assert explained(ground) == {Cause.PRICE_CHANGE: 5000 * micro(2)}


def test_of_several_other_prices_the_one_that_fits_is_named():
    ground = Ground(prices=Prices({("sol", "output"): [("2026-12-01", "9"), ("2026-10-01", "12.5")]}))
    ground.both(input=9000, output=50)
    ground.repriced["sol", "output"] = Fraction("12.5")
    (share,) = ground.day().shares
    assert (share.cause, "2026-10-01" in share.evidence) == (Cause.PRICE_CHANGE, True)
    assert Fraction(share.amount) == 50 * micro("2.5")


def test_a_price_that_no_list_has_at_any_time_has_no_cause():
    ground = openai(prices=Prices({("sol", "output"): [("2026-10-01", "12")]}))
    ground.repriced["sol", "output"] = Fraction("10.7")
    day = ground.day()
    assert day.shares == ()
    assert Fraction(day.unexplained) == 900 * micro("0.7")


def test_tomorrows_price_may_hold_elsewhere_from_this_afternoon_on():
    ground = openai(prices=Prices({("luna", "output"): [("2026-11-21", "8")]}))
    ground.line("output", str(exact(31 * micro(3))), model="luna", tier="default", quantity=0)
    assert explained(ground) == {Cause.PRICE_CHANGE: 31 * micro(3)}


def test_a_part_at_the_price_of_another_month_is_no_cause():
    ground = openai(prices=Prices({("luna", "output"): [("2026-12-21", "8")]}))
    ground.line("output", str(exact(31 * micro(3))), model="luna", tier="default", quantity=0)
    day = ground.day()
    assert day.shares == ()
    assert Fraction(day.unexplained) == 31 * micro(3)


@pytest.mark.parametrize(("model", "listed"), [("luna", LUNA), ("sol", LISTED)])
def test_a_region_is_found_by_its_multiplier_of_every_line_of_a_model(model, listed):
    ground = openai()
    ground.multipliers[model] = Fraction("1.1")
    assert explained(ground) == {Cause.REGIONAL_RATE: listed / 10}


def test_a_region_is_found_though_all_of_the_day_is_billed_in_it():
    ground = Ground("anthropic")
    ground.both(input=8000, cached=2000, output=900)
    ground.multipliers["sonnet"] = Fraction("1.1")
    assert explained(ground) == {Cause.REGIONAL_RATE: (8000 * 3 + 2000 * Fraction(3, 10) + 900 * 15) * micro("0.1")}


def test_a_discount_is_what_all_lines_have_in_common():
    ground = openai()
    ground.multipliers[""] = Fraction("0.95")
    assert explained(ground) == {Cause.DISCOUNT: -(LISTED + LUNA) / 20}


def test_a_discount_is_found_beside_a_single_line_that_no_long_prompt_can_hide():
    ground = Ground()
    ground.both(input=8000, cached=2000, output=900)
    ground.both(model="terra", input=500)
    ground.multipliers[""] = Fraction("0.95")
    assert explained(ground) == {Cause.DISCOUNT: -(LISTED + 500 * micro("1.5")) / 20}


def test_a_discount_on_one_model_leaves_the_others_alone():
    ground = openai()
    ground.multipliers["sol"] = Fraction("0.8")
    day = ground.day()
    assert dollars(day) == {Cause.DISCOUNT: -LISTED / 5}
    assert {share.model for share in day.shares} == {"sol"}


def test_a_discount_that_was_agreed_is_found_in_a_single_line():
    ground = Ground(terms=agreed("0.1"))
    ground.both(input=8000)
    ground.multipliers[""] = Fraction("0.9")
    day = ground.day()
    assert dollars(day) == {Cause.DISCOUNT: -800 * micro(2)}
    assert day.unexplained == 0
    assert "as agreed" in day.shares[0].evidence


def test_a_discount_that_nobody_agreed_is_said_to_be_so():
    ground = openai()
    ground.multipliers[""] = Fraction("0.95")
    assert all("nobody agreed" in share.evidence for share in ground.day().shares)


def test_one_line_alone_has_nothing_in_common_with_others():
    ground = Ground()
    ground.both(input=8000)
    ground.multipliers[""] = Fraction("1.37")
    day = ground.day()
    assert day.shares == ()
    assert Fraction(day.unexplained) == 8000 * micro("0.74")


def test_use_of_a_committed_tier_is_paid_elsewhere():
    ground = Ground("anthropic", terms=Terms(gateway_keys=GATEWAY, committed_tiers=frozenset({"priority"})))
    ground.both(input=1000, output=10)
    ground.both(tier="priority", input=8000, output=900)
    bill = ground.bill()
    bill = ground.bill(lines=[line for line in bill.lines if line.tier != "priority"])
    day = ground.day(bill)
    assert dollars(day) == {Cause.COMMITMENT: -8000 * micro(3) - 900 * micro(15)}
    assert day.unexplained == 0


def test_a_committed_tier_that_is_billed_all_the_same_is_no_commitment():
    ground = Ground("anthropic", terms=Terms(gateway_keys=GATEWAY, committed_tiers=frozenset({"priority"})))
    ground.both(tier="priority", input=8000, output=900)
    assert explained(ground) == {}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("amount", ["1.2345", "-0.5", "0.000000000001"])
def test_a_line_of_no_tokens_is_another_item(provider, amount):
    ground = Ground(provider)
    ground.both(input=1000, output=10)
    ground.line("Code Execution Usage", amount)
    day = ground.day()
    assert dollars(day) == {Cause.OTHER_ITEM: Fraction(amount)}
    assert "Code Execution Usage" in day.shares[0].evidence


def test_a_price_change_a_region_and_a_discount_on_one_line_are_told_apart():
    ground = openai(prices=Prices({("luna", "input_uncached"): [("2026-10-01", "1.5")]}), terms=agreed("0.1"))
    ground.both(model="luna", cached=1600)
    ground.repriced["luna", "input_uncached"] = Fraction("1.5")
    ground.multipliers["luna"], ground.multipliers[""] = Fraction("1.1"), Fraction("0.9")
    luna = 3000 * micro("1.5") + 1600 * micro("0.0625") + 70 * micro(5)
    assert explained(ground) == {
        Cause.PRICE_CHANGE: 3000 * micro("0.5"),
        Cause.REGIONAL_RATE: luna / 10,
        Cause.DISCOUNT: -(LISTED + luna * Fraction("1.1")) / 10,
    }


def test_a_region_of_the_greater_part_and_an_account_wide_discount_are_told_apart():
    ground = openai(terms=agreed("0.1"))
    ground.multipliers["sol"], ground.multipliers[""] = Fraction("1.1"), Fraction("0.9")
    assert explained(ground) == {
        Cause.REGIONAL_RATE: LISTED / 10,
        Cause.DISCOUNT: -(LISTED * Fraction("1.1") + LUNA) / 10,
    }


def test_a_discount_is_of_what_was_billed_and_not_of_what_the_ledger_has():
    ground = openai(terms=agreed("0.1"), final=False)
    ground.billed(key="key_9", input=1000)
    ground.entered(hour=3, output=40)
    ground.multipliers[""] = Fraction("0.9")
    assert explained(ground) == {
        Cause.PAST_GATEWAY: 1000 * micro(2),
        Cause.NOT_YET_STATED: -40 * micro(10),
        Cause.DISCOUNT: -(LISTED + LUNA + 1000 * micro(2)) / 10,
    }


def test_a_discount_that_was_agreed_and_not_given_is_a_variance_and_leaves_nothing_without_a_cause():
    ground = Ground(terms=agreed("0.1"))
    ground.both(input=1000, output=100)
    day = ground.day()
    off, missing = sorted(
        (share for share in day.shares if share.item == "input_uncached"), key=lambda each: each.amount
    )
    assert Fraction(off.amount) == -Fraction(missing.amount) == -1000 * micro(2) / 10
    assert off.evidence.endswith(", as agreed")
    assert missing.evidence == "billed at list prices, and 10 % off was agreed"
    assert day.unexplained == 0
    assert day.billed == day.ledger
