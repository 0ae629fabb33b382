"""Why a line costs other than the list says: each cause alone, and where several meet in one line."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from steward.costs.causes import Cause
from steward.costs.values import Terms
from tests.unit.costs.ground import GATEWAY, Ground, Prices, adds_up, dollars, exact, micro

#: Reports state dollars to a millionth at the coarsest.
UNIT = Fraction(1, 1_000_000)
PROVIDERS = ("openai", "anthropic")


def explained(ground):
    """Its causes; nothing is left, and everything adds up."""
    day = ground.day()
    assert day.unexplained == 0
    assert adds_up(day)
    return dollars(day)


def agreed(share):
    return Terms(gateway_keys=GATEWAY, discount=Decimal(share))


def openai(**others):
    """Two models, each with several lines."""
    ground = Ground(**others)
    ground.both(input=8000, cached=2000, output=900)
    ground.both(model="luna", input=3000, output=70)
    return ground


LISTED = 8000 * micro(2) + 2000 * micro("0.2") + 900 * micro(10)
LUNA = 3000 * micro(1) + 70 * micro(5)


# --- each alone


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


def test_long_prompts_that_the_ledger_has_as_such_are_no_difference():
    ground = openai()
    ground.both(context="long", input=300_000, output=1000)
    assert explained(ground) == {}


def test_long_prompts_that_the_ledger_took_for_base_ones_are_found_by_their_units():
    ground = openai()
    ground.entered(input=300_000, output=1000)
    ground.billed(context="long", input=300_000, output=1000)
    assert explained(ground) == {Cause.LONG_CONTEXT: 300_000 * micro(2) + 1000 * micro(5)}


def test_long_prompts_that_were_billed_as_base_ones_are_found_by_their_units():
    ground = openai()
    ground.entered(context="long", input=300_000, output=1000)
    ground.billed(input=300_000, output=1000)
    assert explained(ground) == {Cause.LONG_CONTEXT: -300_000 * micro(2) - 1000 * micro(5)}


@pytest.mark.parametrize("told", ["input", "output"])
def test_one_line_alone_does_not_tell_of_long_prompts(told):
    """What a long prompt reads is billed at its rate, and so is what is written for it."""
    ground = openai()
    ground.both(input=300_000, output=1000)
    ground.repriced["sol", {"input": "input_uncached"}.get(told, told)] = Fraction("3") if told == "input" else 14
    day = ground.day()
    assert day.shares == ()
    assert day.unexplained > 0


def test_a_tier_without_a_price_for_long_prompts_stops_nothing_while_none_were_long():
    ground = openai()
    ground.both(model="terra", input=500, output=40)
    assert explained(ground) == {}


def test_a_long_prompt_at_another_tier_keeps_its_rate():
    ground = Ground()
    ground.entered(tier="priority", context="long", input=300_000, cached=5000, output=1000)
    ground.billed(tier="default", context="long", input=300_000, cached=5000, output=1000)
    was = 300_000 * micro(8) + 5000 * micro("0.8") + 1000 * micro(30)
    now = 300_000 * micro(4) + 5000 * micro("0.4") + 1000 * micro(15)
    assert explained(ground) == {Cause.SERVED_TIER: now - was}


def test_a_long_prompt_at_midnight_keeps_its_rate():
    ground = openai()
    ground.entered(hour=-1, minute=59.9, context="long", input=300_000, output=1000)
    ground.billed(hour=0, context="long", input=300_000, output=1000)
    assert explained(ground) == {Cause.BOUNDARY_SHIFT: 300_000 * micro(4) + 1000 * micro(15)}


def test_a_long_prompt_that_was_cached_keeps_its_rate():
    ground = Ground()
    ground.entered(context="long", input=300_000, output=1000)
    ground.billed(context="long", input=90_000, cached=210_000, output=1000)
    assert explained(ground) == {Cause.CACHE_SPLIT: 210_000 * (micro("0.4") - micro(4))}


def test_a_long_prompt_that_is_not_stated_yet_keeps_its_rate():
    ground = openai(final=False)
    ground.entered(hour=3, context="long", input=300_000, output=1000)
    assert explained(ground) == {Cause.NOT_YET_STATED: -300_000 * micro(4) - 1000 * micro(15)}


def test_a_line_that_tells_its_context_is_never_explained_by_the_others_rate():
    """Its usage would tell so too."""
    ground = Ground("anthropic")
    ground.both(input=8000, output=900)
    ground.both(model="haiku", input=50_000, output=900)
    ground.line("input_uncached", "0.003", model="sonnet", tier="standard", context="base")
    day = ground.day()
    assert day.shares == ()
    assert day.unexplained == Decimal("0.003")


@pytest.mark.parametrize("quantity", [8000, 3000])
def test_a_model_without_long_rates_is_never_explained_by_them(quantity):
    ground = openai()
    ground.line("input_uncached", str(exact(quantity * micro(1))), model="luna", tier="default")
    day = ground.day()
    assert day.shares == ()
    assert Fraction(day.unexplained) == quantity * micro(1)


def test_a_line_of_more_units_than_the_usage_is_no_line_of_long_prompts():
    """Twice the price for half of the units, and half as many units again at one price, come to the same dollars."""
    ground = openai()
    ground.line("input_uncached", "0.004", model="sol", tier="default", quantity=2000)
    day = ground.day()
    assert day.shares == ()
    assert day.unexplained == Decimal("0.004")


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


def test_a_discount_is_found_though_long_prompts_that_the_ledger_lacks_hide_it_in_most_lines():
    ground = openai()
    ground.both(model="terra", input=500, output=40)
    ground.entered(input=300_000, output=1000)
    ground.billed(context="long", input=300_000, output=1000)
    ground.multipliers[""] = Fraction("0.95")
    listed = LISTED + LUNA + 500 * micro("1.5") + 40 * micro(6) + 300_000 * micro(4) + 1000 * micro(15)
    assert explained(ground) == {
        Cause.LONG_CONTEXT: 300_000 * micro(2) + 1000 * micro(5),
        Cause.DISCOUNT: -listed / 20,
    }


def test_a_discount_is_found_beside_a_single_line_that_no_long_prompt_can_hide():
    ground = Ground()
    ground.both(input=8000, cached=2000, output=900)
    ground.both(model="terra", input=500)
    ground.multipliers[""] = Fraction("0.95")
    assert explained(ground) == {Cause.DISCOUNT: -(LISTED + 500 * micro("1.5")) / 20}


def test_a_strangers_long_prompts_are_past_the_gateway_as_the_stranger_is():
    ground = openai()
    ground.billed(key="key_9", context="long", input=300_000, output=1000)
    assert explained(ground) == {Cause.PAST_GATEWAY: 300_000 * micro(4) + 1000 * micro(15)}


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


# --- several in one line


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


def test_long_prompts_under_a_discount_are_found_at_undiscounted_rates():
    ground = openai(terms=agreed("0.1"))
    ground.entered(input=300_000, output=1000)
    ground.billed(context="long", input=300_000, output=1000)
    ground.multipliers[""] = Fraction("0.9")
    assert explained(ground) == {
        Cause.LONG_CONTEXT: 300_000 * micro(2) + 1000 * micro(5),
        Cause.DISCOUNT: -(LISTED + LUNA + 300_000 * micro(4) + 1000 * micro(15)) / 10,
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


# --- lines that a report has rounded


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


# --- lines without usage, usage without lines


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


# --- amounts that are hardly there


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
