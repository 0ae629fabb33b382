"""Long prompts, which cost a rate of their own: found by their units where only one side has them as such."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from steward.costs.causes import Cause
from tests.unit.costs.ground import Ground, exact, explained, micro
from tests.unit.costs.rates_ground import LISTED, LUNA, agreed, openai


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


def test_a_strangers_long_prompts_are_past_the_gateway_as_the_stranger_is():
    ground = openai()
    ground.billed(key="key_9", context="long", input=300_000, output=1000)
    assert explained(ground) == {Cause.PAST_GATEWAY: 300_000 * micro(4) + 1000 * micro(15)}


def test_long_prompts_under_a_discount_are_found_at_undiscounted_rates():
    ground = openai(terms=agreed("0.1"))
    ground.entered(input=300_000, output=1000)
    ground.billed(context="long", input=300_000, output=1000)
    ground.multipliers[""] = Fraction("0.9")
    assert explained(ground) == {
        Cause.LONG_CONTEXT: 300_000 * micro(2) + 1000 * micro(5),
        Cause.DISCOUNT: -(LISTED + LUNA + 300_000 * micro(4) + 1000 * micro(15)) / 10,
    }
