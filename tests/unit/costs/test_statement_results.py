import datetime as dt
import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steward.costs.attribution.days import Day
from steward.costs.attribution.expected import Expected
from steward.costs.attribution.rates import explain_rates
from steward.costs.causes import Cause, Share
from steward.costs.cells import Cell
from steward.costs.results import DayResult, ResultUnusable
from steward.costs.values import Bill, Line, Terms
from tests.unit.costs.statement_samples import charge, result, share

AMOUNTS = st.decimals("-1E9", "1E9", allow_nan=False, allow_infinity=False) | st.sampled_from(
    [
        Decimal("1E-7"),
        Decimal("-0.000000000001"),
        Decimal("1E+2"),
        Decimal("0.1234567890123456789012345678901234567890"),
    ]
)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.lists(AMOUNTS, min_size=1, max_size=5), st.lists(AMOUNTS, max_size=5), AMOUNTS)
def test_a_day_comes_back_from_json_digit_for_digit(billed, explained, ledger):
    stored = result(
        charges=[charge(each) for each in billed], shares=[share(each) for each in explained], ledger=ledger
    )
    back = DayResult.from_json(stored.to_json())
    assert back == stored
    assert back.to_json() == stored.to_json()
    assert [each.amount.as_tuple() for each in back.shares] == [each.as_tuple() for each in explained]


def test_amounts_are_texts_in_json():
    told = json.loads(result(ledger="0.10", shares=[share("0.000000000001")]).to_json())
    assert told["ledger"] == "0.10"
    assert told["shares"][0]["amount"] == "1E-12"


@pytest.mark.parametrize("amount", [0.1, "NaN", "Infinity", "1E+40", "1E-200", True, "ten"])
def test_what_has_been_a_float_or_is_no_amount_is_refused(amount):
    told = json.loads(result().to_json()) | {"ledger": amount}
    with pytest.raises(ResultUnusable, match="ledger"):
        DayResult.from_json(json.dumps(told).encode())


def test_a_day_whose_charges_do_not_add_up_is_refused():
    told = json.loads(result(charges=[charge("1"), charge("2")]).to_json())
    told["charges"].pop()
    with pytest.raises(ResultUnusable, match="add up to 1, and 3 is billed"):
        DayResult.from_json(json.dumps(told).encode())


@pytest.mark.parametrize("body", [b"", b"[]", b'{"form": 2}', result().to_json()[:-10]])
def test_a_stored_day_that_is_cut_or_of_another_form_is_refused(body):
    with pytest.raises(ResultUnusable, match="HINT"):
        DayResult.from_json(body)


def test_what_is_unexplained_has_every_digit_that_a_sum_of_28_digits_loses():
    stored = result(ledger="123456789012345678", charges=[charge("123456789012345678.000000000001")])
    assert stored.unexplained == Decimal("0.000000000001")


def test_a_day_and_its_bill_are_stored_whole():
    cell = Cell("openai-main", 1_790_812_800, "proj_1", "key_1", "sol", "default", "")
    explained = Share(
        Cause.STATED_TWICE, "proj_1", "key_1", "sol", "default", "", "output", 7, Decimal("0.07"), "once more", 5
    )
    lines = (Line("proj_1", "key_1", "sol", "default", "", "output", 107, Decimal("1.07")),)
    at = dt.datetime(2026, 10, 2, 6, tzinfo=dt.UTC)
    bill = Bill("openai-main", "openai", dt.date(2026, 10, 1), (), lines, at, ("ab" * 32,))
    left = ((cell, (0, 0, 0, 0, 0, -3, 0)),)
    day = Day("openai-main", bill.day, Decimal(1), Decimal("1.07"), (explained,), left, Decimal("0.0000005"))

    stored = DayResult.of(day, bill, reading="T+1", final=False, prices="book 1")

    assert (stored.reading, stored.final, stored.read_at, stored.pages) == ("T+1", False, at, ("ab" * 32,))
    (kept,) = stored.shares
    assert (kept.cause, kept.model, kept.item, kept.quantity, kept.amount, kept.evidence, kept.hour) == (
        Cause.STATED_TWICE,
        "sol",
        "output",
        7,
        Decimal("0.07"),
        "once more",
        5,
    )
    assert stored.charges[0].model_dump() == {
        "project": "proj_1",
        "key": "key_1",
        "model": "sol",
        "tier": "default",
        "context": "",
        "item": "output",
        "quantity": 107,
        "amount": Decimal("1.07"),
    }
    assert (stored.left[0].hour, stored.left[0].quantities) == (1_790_812_800, (0, 0, 0, 0, 0, -3, 0))
    assert stored.unexplained == 0


@pytest.mark.parametrize(("discount", "agreed"), [("0.1", True), ("0", False), ("0.2", False)])
def test_a_discount_is_agreed_just_where_the_terms_have_it(discount, agreed):
    def line(item, price):
        told = Line("proj_1", None, "sol", "default", "", item, None, Decimal(price) * 9 / 10)
        return Expected(told, 100, Decimal(price), Decimal(price) / 100)

    terms = Terms(gateway_keys=frozenset(), discount=Decimal(discount))
    found = explain_rates([line("output", "10"), line("input_uncached", "3")], terms, final=True)
    assert {(each.cause, each.agreed) for each in map(_stored, found)} == {(Cause.DISCOUNT, agreed)}


def test_a_commitment_is_always_agreed_and_other_causes_never_are():
    assert _stored(Share(Cause.COMMITMENT, "", "", "", "", "", "", 0, Decimal(-1), "paid")).agreed
    assert not _stored(Share(Cause.REGIONAL_RATE, "", "", "", "", "", "", 0, Decimal(1), "as agreed, as agreed")).agreed


def _stored(found):
    at = dt.datetime(2026, 10, 2, 6, tzinfo=dt.UTC)
    bill = Bill("openai-main", "openai", dt.date(2026, 10, 1), (), (), at)
    day = Day("openai-main", bill.day, Decimal(0), Decimal(0), (found,), (), Decimal(0))
    return DayResult.of(day, bill, reading="T+1", final=True, prices="book 1").shares[0]
