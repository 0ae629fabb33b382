from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.costs.errors import PageUnusable
from steward.costs.reports.buckets import buckets, count, dollars, name, name_or_none, one_of, part, read_page

MIDNIGHT = 1_795_132_800
HOURS = range(MIDNIGHT, MIDNIGHT + 4 * 3600, 3600)


def bucket(begin, *results, end=None):
    return {"start_time": begin, "end_time": end or begin + 3600, "results": list(results)}


def page(found, *, more=False):
    return {"data": list(found), "has_more": more}


def read(*pages, begins=HOURS):
    return list(buckets(pages, "usage", begins, start="start_time", end="end_time"))


def test_results_come_with_the_beginning_of_their_bucket_over_all_pages() -> None:
    one, two = (
        page([bucket(HOURS[0], {"n": 1}, {"n": 2}), bucket(HOURS[1])], more=True),
        page([bucket(HOURS[2], {"n": 3}), bucket(HOURS[3])]),
    )
    assert read(one, two) == [(HOURS[0], {"n": 1}), (HOURS[0], {"n": 2}), (HOURS[2], {"n": 3})]


def test_moments_may_be_told_as_texts_with_their_zone() -> None:
    told = {"starting_at": "2026-11-20T00:00:00Z", "ending_at": "2026-11-21T02:00:00+02:00", "results": [{"n": 1}]}
    found = buckets([page([told])], "costs", [MIDNIGHT], start="starting_at", end="ending_at")
    assert list(found) == [(MIDNIGHT, {"n": 1})]


@pytest.mark.parametrize(
    "told", ["2026-11-20T00:00:00", "2026-11-20", "yesterday", None, True, 1.5, "2026-11-20T00:00:00.5Z"]
)
def test_a_moment_without_its_zone_is_none(told) -> None:
    found = buckets(
        [page([bucket(told, {"n": 1}, end=MIDNIGHT + 86_400)])], "costs", [MIDNIGHT], start="start_time", end="end_time"
    )
    with pytest.raises(PageUnusable, match="no start_time"):
        list(found)


whole = [bucket(begin, {"n": begin}) for begin in HOURS]


@pytest.mark.parametrize(
    ("pages", "words"),
    [
        ([], "ends in the middle"),
        ([page(whole, more=True)], "ends in the middle"),
        ([{"data": whole}], "ends in the middle"),
        ([{"data": whole, "has_more": "false"}], "ends in the middle"),
        ([page(whole[:2]), page(whole[2:])], "goes on after a page"),
        ([page(whole[:3])], f"no bucket that begins at {HOURS[3]}: 3 of 4 are there"),
        ([page([*whole[:1], *whole[2:]])], f"no bucket that begins at {HOURS[1]}"),
        ([page(whole[:2], more=True), page(whole[1:])], f"the bucket that begins at {HOURS[1]} twice"),
        ([page([*whole, bucket(HOURS[3] + 3600)])], "5 buckets, expected 4 in order"),
        ([page(whole[::-1])], "4 buckets, expected 4 in order"),
        ([page([*whole[:3], bucket(HOURS[3], end=HOURS[3] + 7200)])], f"ends at {HOURS[3] + 7200}"),
        ([page([*whole[:3], bucket(HOURS[3], end=HOURS[3])])], f"ends at {HOURS[3]}, expected {HOURS[3] + 3600}"),
        ([page([*whole[:3], {**whole[3], "results": None}])], "no list of results"),
        ([page([*whole[:3], {**whole[3], "results": [1]}])], "no list of results"),
        ([page([*whole[:3], "bucket"])], "no list of data"),
    ],
)
def test_what_is_not_each_bucket_once_is_no_report(pages, words) -> None:
    with pytest.raises(PageUnusable, match=words) as found:
        read(*pages)
    assert found.value.hint
    assert not found.value.transient


@given(st.permutations(range(4)), st.lists(st.integers(0, 3), max_size=2), st.integers(0, 4))
def test_no_other_row_of_buckets_is_taken_for_the_report(order, twice, left) -> None:
    told = [whole[index] for index in (*order, *twice)][left:]
    if told == whole:
        assert len(read(page(told))) == 4
    else:
        with pytest.raises(PageUnusable):
            read(page(told))


def test_a_page_that_is_cut_anywhere_is_none() -> None:
    body = json.dumps(page(whole)).encode()
    assert read(read_page(body, "usage")) == read(page(whole))
    for length in range(len(body)):
        with pytest.raises(PageUnusable, match="a page of usage"):
            read_page(body[:length], "usage")


@pytest.mark.parametrize(
    "body", [b"[]", b"null", b"{}", b'{"data": {}}', b"\xff\xfe", b"<html>", b'{"data": NaN}', b"[" * 100_000]
)
def test_what_is_no_page_is_said_to_be_none(body) -> None:
    with pytest.raises(PageUnusable):
        read_page(body, "costs")


def test_an_amount_keeps_every_digit() -> None:
    (amount,) = read_page(b'{"data": [0.1234567890123456789012345678]}', "costs")["data"]
    assert dollars(amount, "usd", "costs") == Decimal("0.1234567890123456789012345678")
    assert dollars("123.45", "USD", "costs") == Decimal("123.45")
    assert dollars(2, "usd", "costs") == 2
    assert dollars(read_page(b'{"data": [6.25e-08]}', "costs")["data"][0], "usd", "costs") == Decimal("0.0000000625")


@pytest.mark.parametrize("currency", ["EUR", "", None, 840, "usd "])
def test_another_currency_is_not_taken_for_dollars(currency) -> None:
    with pytest.raises(PageUnusable, match="expected US dollars") as found:
        dollars("1", currency, "costs")
    assert "nothing is converted" in found.value.hint


@pytest.mark.parametrize(
    "value", [None, "", "free", "NaN", "Infinity", True, 0.5, [], Decimal("NaN"), "1e999999", "0." + "1" * 29]
)
def test_what_is_no_amount_is_not_nothing(value) -> None:
    with pytest.raises(PageUnusable, match="expected a number"):
        dollars(value, "usd", "costs")


@pytest.mark.parametrize("value", [None, "7", -1, True, Decimal("7.0")])
def test_a_count_that_is_missing_is_not_zero(value) -> None:
    with pytest.raises(PageUnusable, match=r"tokens is .*, expected a count"):
        count({"tokens": value}, "tokens", "usage")
    assert count({"tokens": 0}, "tokens", "usage") == 0


def test_names_are_there_or_null_where_they_may_be() -> None:
    assert name({"model": "gpt-6"}, "model", "usage") == "gpt-6"
    assert name_or_none({"workspace_id": None}, "workspace_id", "usage") == ""
    assert name_or_none({"workspace_id": "w"}, "workspace_id", "usage") == "w"
    for result in ({}, {"model": None}, {"model": ""}, {"model": 6}):
        with pytest.raises(PageUnusable, match="model is"):
            name(result, "model", "usage")
    for result in ({}, {"workspace_id": 6}, {"workspace_id": ""}):
        with pytest.raises(PageUnusable, match="workspace_id is"):
            name_or_none(result, "workspace_id", "usage")


def test_what_nobody_has_heard_of_is_not_guessed_and_shown_in_part() -> None:
    assert one_of({"tier": "a"}, "tier", {"a": "b"}, "usage") == "b"
    with pytest.raises(PageUnusable, match=r"tier is 'xxx.*…, expected one of a") as found:
        one_of({"tier": "x" * 5000}, "tier", {"a": "b"}, "usage")
    assert len(str(found.value)) < 300
    with pytest.raises(PageUnusable, match="cache is None, expected an object"):
        part({"cache": None}, "cache", "usage")
