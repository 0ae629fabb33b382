"""Why other quantities are billed than the ledger has: each cause alone."""

from __future__ import annotations

import pytest

from steward.costs.causes import Cause
from tests.unit.costs.ground import Ground, explained, micro


def test_all_of_a_key_that_is_not_the_gateways_went_past_it():
    ground = Ground()
    ground.both(input=1000, output=100)
    ground.billed(key="key_9", input=2000, cached=500, output=300)
    assert explained(ground) == {Cause.PAST_GATEWAY: micro(2000 * 2 + 500 * 0.2 + 300 * 10)}


def test_a_key_past_the_gateway_takes_nothing_from_the_gateways_own():
    ground = Ground(final=False)
    ground.billed(key="key_9", input=1000, output=100)
    ground.entered(key="key_1", input=1000, output=100)
    worth = micro(1000 * 2 + 100 * 10)
    assert explained(ground) == {Cause.PAST_GATEWAY: worth, Cause.NOT_YET_STATED: -worth}


def test_what_the_ledger_has_itself_did_not_go_past_the_gateway():
    """A credential that the register of keys does not know is the ledger's own for all that."""
    ground = Ground()
    ground.entered(key="?openai-7", input=1000, output=100)
    day = ground.day()
    assert day.shares == ()
    assert day.unexplained == -day.ledger


def test_writes_billed_at_another_life_are_told_by_the_two_kinds_that_cancel():
    ground = Ground("anthropic")
    ground.billed(input=100, write_1h=4000, output=50)
    ground.entered(input=100, write_5m=4000, output=50)
    assert explained(ground) == {Cause.CACHE_WRITE_LIFE: 4000 * (micro(6) - micro("3.75"))}


def test_input_billed_as_cached_is_told_by_the_two_classes_that_cancel():
    ground = Ground()
    ground.billed(input=1000, cached=3000, output=50)
    ground.entered(input=4000, output=50)
    assert explained(ground) == {Cause.CACHE_SPLIT: 3000 * (micro("0.2") - micro(2))}


def test_input_billed_as_uncached_counts_for_the_provider():
    ground = Ground("anthropic")
    ground.billed(input=4000, output=50)
    ground.entered(input=1000, cached=3000, output=50)
    assert explained(ground) == {Cause.CACHE_SPLIT: 3000 * (micro(3) - micro("0.3"))}


def test_a_prompt_billed_at_the_rate_of_long_ones_is_told_by_a_report_that_tells_contexts():
    ground = Ground("anthropic")
    ground.entered(input=9000, cached=1000, output=90)
    ground.billed(context="long", input=9000, cached=1000, output=90)
    assert explained(ground) == {
        Cause.LONG_CONTEXT: 9000 * micro(3) + 1000 * micro("0.3") + 90 * (micro("22.5") - micro(15))
    }


@pytest.mark.parametrize("searches", [1, 40])
def test_searches_that_the_ledger_lacks_cost_their_own_price(searches):
    ground = Ground("anthropic")
    ground.both(input=1000, output=100)
    ground.billed(searches=searches)
    assert explained(ground) == {Cause.WEB_SEARCH: searches * micro(10_000)}


@pytest.mark.parametrize(("provider", "read", "written"), [("openai", 2, 10), ("anthropic", 3, 15)])
def test_what_is_not_in_the_bill_may_still_be_stated_while_it_is_not_final(provider, read, written):
    ground = Ground(provider, final=False)
    ground.both(input=1000, output=100)
    ground.entered(input=300, output=30)
    assert explained(ground) == {Cause.NOT_YET_STATED: -300 * micro(read) - 30 * micro(written)}


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_what_is_not_in_a_final_bill_has_no_cause(provider):
    ground = Ground(provider)
    ground.both(input=1000, output=100)
    ground.entered(input=300, output=30)
    day = ground.day()
    assert day.shares == ()
    assert day.unexplained == day.billed - day.ledger < 0
