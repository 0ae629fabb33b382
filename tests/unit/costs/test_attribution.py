"""A day as a whole: whatever happened on it, every cent has one place."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steward.costs.causes import Cause
from steward.costs.cells import CLASSES
from steward.costs.errors import PriceUnknown
from steward.costs.values import Terms
from tests.unit.costs.ground import (
    ANTHROPIC,
    GATEWAY,
    MIDNIGHT,
    OPENAI,
    Ground,
    Prices,
    adds_up,
    dollars,
    exact,
    micro,
)

PROVIDERS = ("openai", "anthropic")
#: A day is a handful of attempts, and takes milliseconds.
days = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
_WHERE = {
    "openai": [("sol", "default"), ("sol", "priority"), ("sol-2", "default"), ("luna", "default")],
    "anthropic": [("sonnet", "standard"), ("sonnet", "priority"), ("haiku", "standard")],
}
_READ = {"openai": ("input", "cached", "write"), "anthropic": ("input", "cached", "write_5m", "write_1h")}


@st.composite
def attempts(draw, provider, *, contexts=("base",)):
    """Where, and how much of each class."""
    model, tier = draw(st.sampled_from(_WHERE[provider]))
    named = {
        "hour": draw(st.sampled_from([-1, 0, 1, 2, 22, 23, 24])),
        "minute": draw(st.sampled_from([0.1, 0.9, 30.0, 30.2, 59.2, 59.9])),
        "project": draw(st.sampled_from(["p", "q"])),
        "key": draw(st.sampled_from(["key_1", "key_2", "key_9"])),
        "model": model,
        "tier": tier,
        "context": draw(st.sampled_from(contexts)),
    }
    small = st.sampled_from([0, 0, 1, 7, 700, 1024])
    return named | {name: draw(small) for name in (*_READ[provider], "output", "searches")}


@st.composite
def grounds(draw, provider, *, contexts=("base",), clean=False, **others):
    """Attempts on which the two sides agree, and such on which they do not."""
    ground = Ground(provider, bucket=draw(st.sampled_from([3600, 60])), final=draw(st.booleans()), **others)
    for attempt in draw(st.lists(attempts(provider, contexts=contexts), min_size=1, max_size=8)):
        fate = "both" if clean else draw(st.sampled_from(["both", "both", "billed", "entered", "guessed", "unknown"]))
        if fate == "guessed":
            prompt = sum(attempt[name] for name in _READ[provider])
            ground.entered(**attempt, estimate=draw(st.sampled_from([(prompt, 0, 0, 4096), (0, 0, 0, 40)])))
            ground.billed(**attempt | {"output": attempt["output"] + 5})
        elif fate == "unknown":
            where = {name: each for name, each in attempt.items() if name in _PLACES}
            ground.unknown((1000, 4096), **where)
            ground.billed(**attempt)
        else:
            getattr(ground, fate)(**attempt)
    if clean:
        # The gateway's own keys, and nobody else's: whatever the ledger has.
        ground.terms = Terms(gateway_keys=GATEWAY | {"key_9"})
    return ground


_PLACES = {"hour", "project", "key", "model", "tier", "context"}


def either(**named):
    return st.one_of(grounds("openai", **named), grounds("anthropic", **named))


# --- whatever happened


@days
@given(ground=either(contexts=("base", "long")), data=st.data())
def test_ledger_shares_and_what_is_unexplained_come_to_the_bill_to_the_last_digit(ground, data):
    ground.multipliers[""] = Fraction(data.draw(st.sampled_from(["1", "0.9", "0.123456789"])))
    ground.multipliers["sol"] = ground.multipliers["haiku"] = Fraction(data.draw(st.sampled_from(["1", "1.1"])))
    ground.rounded_to = data.draw(st.sampled_from([None, Fraction(1, 10**6), Fraction(1, 10**12)]))
    ground.line("Images", data.draw(st.sampled_from(["0", "1e-12", "0.13080438340307526", "-98765432109.5"])))
    day = ground.day()
    assert adds_up(day)
    # Also for who adds it up as it comes.
    assert day.ledger + sum(share.amount for share in day.shares) + day.unexplained == day.billed


@days
@given(ground=either())
def test_what_is_unexplained_of_lines_at_list_prices_is_what_is_left_of_their_quantities(ground):
    table = OPENAI if ground.provider == "openai" else ANTHROPIC
    day = ground.day()
    left = sum(
        (
            quantity * micro(table[cell.model, cell.tier, cell.context or "base"][index])
            for cell, quantities in day.left
            for index, quantity in enumerate(quantities)
            if quantity
        ),
        Fraction(0),
    )
    assert Fraction(day.unexplained) == left


@days
@given(ground=either(contexts=("base", "long")))
def test_every_token_of_the_difference_is_moved_by_a_cause_or_left(ground):
    def counted(cell):
        context = "" if ground.provider == "openai" else cell.context
        return cell._replace(hour=cell.hour // 3600 * 3600, context=context)

    wanted, found = Counter(), Counter()
    for (cell, item), quantity in ground.usage.items():
        wanted[counted(cell), item] += quantity
    for row in ground.rows:
        for item, quantity in zip(CLASSES, row.quantities, strict=True):
            wanted[counted(row.cell), item] -= quantity
    day = ground.day()
    for share in day.shares:
        if share.hour is not None:
            place = ground.cell(0)._replace(**{name: getattr(share, name) for name in _PLACES})
            found[counted(place), share.item] += share.quantity
    for cell, quantities in day.left:
        for item, quantity in zip(CLASSES, quantities, strict=True):
            found[counted(cell), item] += quantity
    today = range(MIDNIGHT, MIDNIGHT + 86_400)
    assert {name: n for name, n in found.items() if n} == {
        name: n for name, n in wanted.items() if n and name[0].hour in today
    }


@days
@given(ground=either(contexts=("base", "long")))
def test_what_swaps_or_moves_within_a_day_takes_no_token_away(ground):
    sums = Counter()
    for share in ground.day().shares:
        if share.cause in {Cause.CACHE_SPLIT, Cause.CACHE_WRITE_LIFE, Cause.SERVED_TIER, Cause.BILLED_MODEL}:
            sums[share.cause] += share.quantity
    assert not any(sums.values())


@days
@given(ground=either(contexts=("base", "long"), clean=True), rounded=st.sampled_from([None, Fraction(1, 10**6)]))
def test_a_clean_day_has_no_cause_at_all(ground, rounded):
    ground.rounded_to = rounded
    day = ground.day()
    assert (day.shares, day.left) == ((), ())
    assert abs(day.unexplained) <= (day.bound if rounded else 0)


@days
@given(ground=either(contexts=("base", "long"), clean=True))
def test_of_a_clean_day_under_an_agreed_discount_the_discount_is_the_only_cause(ground):
    ground.terms = replace(ground.terms, discount=Decimal("0.15"))
    ground.multipliers[""] = Fraction("0.85")
    day = ground.day()
    # Of a day of a few tokens rounding might have made as much.
    assert abs(day.unexplained) <= day.bound
    if dollars(day):
        assert dollars(day) == {Cause.DISCOUNT: -Fraction(day.ledger) * Fraction("0.15")}
        assert day.unexplained == 0


# --- days with nothing, or next to nothing


@pytest.mark.parametrize("final", [True, False])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_day_without_anything_costs_nothing(provider, final):
    day = Ground(provider, final=final).day()
    assert (day.ledger, day.billed, day.unexplained, day.bound, day.shares, day.left) == (0, 0, 0, 0, (), ())


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("context", ["base", "long"])
def test_a_bill_without_usage_and_lines_explains_nothing_of_a_ledger_once_it_is_final(provider, context):
    ground = Ground(provider)
    ground.entered(context=context, input=300_000, output=90)
    day = ground.day()
    assert (day.shares, day.billed) == ((), 0)
    assert day.unexplained == -day.ledger


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("context", ["base", "long"])
def test_a_bill_without_usage_and_lines_may_still_be_stated(provider, context):
    ground = Ground(provider, final=False)
    ground.entered(context=context, input=300_000, output=90)
    day = ground.day()
    assert dollars(day) == {Cause.NOT_YET_STATED: -Fraction(day.ledger)}
    assert day.unexplained == 0


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_ledger_without_anything_leaves_the_gateways_keys_unexplained_and_others_past_it(provider):
    ground = Ground(provider)
    ground.billed(key="key_1", input=1000)
    ground.billed(key="key_9", hour=11, input=10)
    day = ground.day()
    rate = micro(2 if provider == "openai" else 3)
    assert dollars(day) == {Cause.PAST_GATEWAY: 10 * rate}
    assert Fraction(day.unexplained) == 1000 * rate


def test_lines_alone_are_unexplained():
    ground = Ground()
    ground.line("output", "12.5", model="sol", tier="default")
    day = ground.day()
    assert (day.shares, day.unexplained) == ((), Decimal("12.5"))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_one_token_is_explained_like_a_million(provider):
    ground = Ground(provider)
    ground.billed(key="key_9", cached=1)
    day = ground.day()
    assert dollars(day) == {Cause.PAST_GATEWAY: micro("0.2" if provider == "openai" else "0.3")}
    assert day.unexplained == 0


def test_a_billion_dollars_are_kept_to_the_last_digit():
    ground = Ground()
    ground.both(model="luna", input=10**15, cached=10**9 + 1)
    ground.line("Images", "1e-12")
    day = ground.day()
    assert Fraction(day.billed) == 10**9 + (10**9 + 1) * micro("0.0625") + Fraction(1, 10**12)
    assert dollars(day) == {Cause.OTHER_ITEM: Fraction(1, 10**12)}
    assert day.unexplained == 0


def test_requests_without_tokens_are_nothing():
    ground = Ground()
    ground.both(input=100, output=10)
    ground.billed(requests=3)
    ground.entered()
    assert (ground.day().shares, ground.day().left) == ((), ())


# --- what a restatement may bring


@pytest.mark.parametrize("final", [True, False])
def test_usage_that_was_taken_back_below_nothing_adds_up_all_the_same(final):
    ground = Ground(final=final)
    ground.both(input=1000, output=10)
    ground.billed(hour=11, input=-500, requests=0)
    day = ground.day()
    assert adds_up(day)
    assert Fraction(day.billed) == 500 * micro(2) + 10 * micro(10)


def test_a_line_that_takes_back_what_another_stated_is_part_of_it():
    ground = Ground()
    ground.both(input=1000, output=10)
    ground.line("input_uncached", "0.5", model="sol", tier="default", quantity=250_000)
    ground.line("input_uncached", "-0.5", model="sol", tier="default", quantity=-250_000)
    day = ground.day()
    assert (day.shares, day.unexplained) == ((), 0)


def test_a_line_below_nothing_is_no_multiplier():
    ground = Ground()
    ground.both(input=1000, output=10)
    ground.line("input_uncached", "-0.5", model="sol", tier="default")
    day = ground.day()
    assert (day.shares, day.unexplained) == ((), Decimal("-0.5"))


def test_a_line_in_two_parts_may_be_rounded_twice():
    ground = Ground()
    ground.both(input=2, cached=5)
    (read, cached) = ground.bill().lines
    assert (read.amount, cached.amount) == (exact(micro(4)), exact(micro(1)))
    halves = [replace(cached, quantity=n, amount=Decimal("0.000001")) for n in (2, 3)]
    day = ground.day(ground.bill(lines=[read, *halves]))
    assert (day.shares, day.unexplained) == ((), Decimal("0.000001"))
    assert day.unexplained <= day.bound == Decimal("0.0000015")


# --- what has no price


@pytest.mark.parametrize("side", ["billed", "entered", "both"])
@pytest.mark.parametrize("where", [{"model": "mystery"}, {"tier": "scale"}])
def test_what_has_no_price_stops_the_day(side, where):
    ground = Ground()
    ground.both(input=1)
    getattr(ground, side)(input=1000, **where)
    with pytest.raises(PriceUnknown, match="no price of input_uncached"):
        ground.day(ground.bill(lines=[]))


@pytest.mark.parametrize("hour", [-1, 24])
def test_what_has_no_price_in_the_hours_beside_the_day_stops_nothing(hour):
    ground = Ground()
    ground.both(input=1000)
    ground.both(hour=hour, model="mystery", input=1000)
    assert (ground.day().shares, ground.day().unexplained) == ((), 0)


def test_a_class_that_a_model_does_not_have_stops_the_day():
    ground = Ground()
    ground.both(input=1)
    ground.entered(model="terra", write=5)
    with pytest.raises(PriceUnknown, match="cache_write of terra"):
        ground.day()


# --- a whole day of everything


def test_a_day_with_every_cause_gives_each_its_own_dollars():
    ground = Ground(
        "anthropic",
        final=False,
        prices=Prices({("haiku", "input_cached"): [("2026-10-01", "0.3")]}),
        terms=Terms(gateway_keys=GATEWAY, discount=Decimal("0.2"), committed_tiers=frozenset({"priority"})),
    )
    ground.both(hour=1, input=50_000, cached=10_000, output=4000)
    ground.both(hour=1, model="haiku", input=9000, cached=4000, output=800)
    ground.both(hour=2, project="q", model="haiku", input=9000, output=800)
    ground.billed(hour=3, key="key_9", input=100, output=10)
    ground.billed(hour=4, write_1h=800, input=5)
    ground.entered(hour=4, write_5m=800, input=5)
    ground.billed(hour=5, cached=600, input=5)
    ground.entered(hour=5, input=605)
    ground.entered(hour=23, minute=59.9, input=333, output=3)
    ground.billed(hour=24, input=333, output=3)
    ground.entered(hour=7, model="sonnet", input=210, output=21)
    ground.billed(hour=7, model="haiku", input=210, output=21)
    ground.both(hour=8, input=411, output=41)
    ground.billed(hour=8, input=411, output=41)
    ground.unknown((900, 4096), hour=9)
    ground.billed(hour=9, input=800, output=60)
    ground.entered(hour=10, input=700, output=70, estimate=(0, 0, 0, 50))
    ground.billed(hour=10, input=700, output=77)
    ground.billed(hour=11, searches=3)
    ground.entered(hour=12, output=44)
    ground.entered(hour=13, input=7000, output=10)
    ground.billed(hour=13, context="long", input=7000, output=10)
    ground.both(hour=14, tier="priority", input=1000)
    ground.line("Code Execution Usage", "1.25")
    ground.repriced["haiku", "input_cached"] = Fraction("0.3")
    ground.multipliers["haiku"], ground.multipliers[""] = Fraction("1.1"), Fraction("0.8")
    # Billed without the priority tier, whose commitment is paid elsewhere.
    bill = ground.bill()
    day = ground.day(ground.bill(lines=[line for line in bill.lines if line.tier != "priority"]))
    haiku = {"read": 9000 + 9000 + 210, "cached": 4000, "written": 800 + 800 + 21}
    listed = haiku["read"] * micro(1) + haiku["cached"] * micro("0.3") + haiku["written"] * micro(5)
    sonnet = (
        (50_000 + 100 + 5 + 5 + 411 * 2 + 800 + 700) * micro(3)
        + (10_000 + 600) * micro("0.3")
        + 800 * micro(6)
        + (4000 + 10 + 41 * 2 + 60 + 77) * micro(15)
    )
    long = 7000 * micro(6) + 10 * micro("22.5")
    searches = 3 * micro(10_000)
    assert dollars(day) == {
        Cause.PAST_GATEWAY: 100 * micro(3) + 10 * micro(15),
        Cause.CACHE_WRITE_LIFE: 800 * (micro(6) - micro("3.75")),
        Cause.CACHE_SPLIT: 600 * (micro("0.3") - micro(3)),
        Cause.BOUNDARY_SHIFT: -333 * micro(3) - 3 * micro(15),
        Cause.BILLED_MODEL: -210 * micro(2) - 21 * micro(10),
        Cause.STATED_TWICE: 411 * micro(3) + 41 * micro(15),
        Cause.UNKNOWN_ATTEMPTS: 800 * micro(3) + 60 * micro(15),
        Cause.ESTIMATED_STREAMS: 7 * micro(15),
        Cause.WEB_SEARCH: searches,
        Cause.NOT_YET_STATED: -44 * micro(15),
        Cause.LONG_CONTEXT: 7000 * micro(3) + 10 * micro("7.5"),
        Cause.PRICE_CHANGE: 4000 * micro("0.2"),
        Cause.REGIONAL_RATE: listed / 10,
        Cause.DISCOUNT: -(listed * Fraction("1.1") + sonnet + long + searches) / 5,
        Cause.COMMITMENT: -1000 * micro(3),
        Cause.OTHER_ITEM: Fraction("1.25"),
    }
    assert day.unexplained == 0
    assert day.left == ()
