"""A page that is cut, changed or no bill is no reading, and leaves nothing that a later one stumbles over."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from steward.clients.cost_pages import DayNotOver, take_reading
from steward.clients.provider_costs import PageCut, Patience
from steward.costs.errors import PageUnusable
from tests.integration.cost_book.ground import OPENAI, bill, objects_of, rows
from tests.integration.costs_ground import cut

pytestmark = pytest.mark.without_search


def repeated(body):
    page = json.loads(body)
    page["data"] += page["data"][-1:]
    return json.dumps(page).encode()


def overlapping(body):
    page = json.loads(body)
    page["data"][0]["end_time"] += 3600
    return json.dumps(page).encode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda body: body.replace(b'"usd"', b'"eur"'), "costs is in 'eur', expected US dollars"),
        (repeated, "the bucket that begins at [0-9]+ twice"),
        (overlapping, "ends at [0-9]+, expected"),
        (lambda body: body[: len(body) // 2], "no JSON"),
        (lambda body: body.replace(b'"results":', b'"result":'), "has no list of results"),
    ],
)
def test_what_is_no_bill_is_no_reading_and_may_be_one_later(way, day, change, words) -> None:
    way.meddle = lambda _path, answer: (answer[0], {}, change(answer[2]))
    with pytest.raises(PageUnusable, match=words):
        take_reading(way.settings, OPENAI, day, "T+1", 7)
    assert rows(way.settings, day) == []
    way.meddle = lambda _path, answer: answer
    assert len(take_reading(way.settings, OPENAI, day, "T+1", 7).pages) == 3


def test_a_page_that_is_cut_leaves_nothing(way, day) -> None:
    way.meddle = lambda path, answer: cut(answer) if "usage" in path else answer
    with pytest.raises(PageCut, match="of /v1/organization/usage/completions"):
        take_reading(way.settings, OPENAI, day, "T+1", 7, patience=Patience(pauses=()))
    assert (rows(way.settings, day), objects_of(way.settings, OPENAI, day)) == ([], {})


def test_a_page_that_is_not_the_one_that_was_kept_is_no_bill(book, day) -> None:
    taken = take_reading(book, OPENAI, day, "T+1", 7)
    first, *others = taken.pages
    for pages in ((first.model_copy(update={"sha256": "b" * 64}), *others), (*others, others[-1])):
        with pytest.raises(PageUnusable):
            bill(book, taken.model_copy(update={"pages": pages}))


def test_a_day_that_is_not_over_has_no_bill(book) -> None:
    with pytest.raises(DayNotOver, match="over at"):
        take_reading(book, OPENAI, dt.datetime.now(dt.UTC).date(), "T+0", 7)
