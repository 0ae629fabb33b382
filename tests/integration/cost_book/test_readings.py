"""Readings of a day: every page locked in the bucket and named by a row, whole or not at all, and never another one's."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from steward.clients.cost_book import latest_reading, readings_of
from steward.clients.cost_pages import take_reading
from steward.clients.postgres import connect
from steward.clients.s3 import open_evidence_bucket
from steward.costs.kept import Reading
from steward.costs.reports.reading import is_restated
from tests.integration.cost_book.ground import ANTHROPIC, OPENAI, Killed, bill, objects_of, rows
from tests.integration.costs_ground import begin, state

pytestmark = pytest.mark.without_search


@pytest.mark.parametrize("account", [OPENAI, ANTHROPIC])
def test_every_page_is_locked_and_named_by_a_row(book, day, account) -> None:
    taken = take_reading(book, account, day, "T+1", 7)
    assert [(row[0], row[2], row[4], row[5], row[6]) for row in rows(book, day)] == [
        (account, page.report, page.sha256, page.object_key, page.version_id)
        for page in sorted(taken.pages, key=lambda page: page.object_key)
    ]
    with open_evidence_bucket(book) as objects:
        for page in taken.pages:
            there = objects.get(page.object_key, page.version_id)
            assert page.object_key.startswith(
                f"ai-costs/pages/{account}/{day}/T+1/{page.report.replace('/', '-')}-001."
            )
            assert there.locked_until - dt.datetime.now(dt.UTC) > dt.timedelta(days=book.evidence.lock_days - 1)
    found = bill(book, taken)
    assert (found.account, found.day, found.read_at) == (account, day, taken.read_at)
    assert len(found.usage) == 1
    assert len(found.lines) == 2


def test_a_reading_that_is_taken_is_not_asked_for_again(way, day) -> None:
    taken = take_reading(way.settings, OPENAI, day, "T+1", 7)
    way.asked.clear()
    assert take_reading(way.settings, OPENAI, day, "T+1", 8) == taken
    assert way.asked == []


@pytest.mark.parametrize("puts", [0, 1, 2, 3])
def test_a_run_that_is_killed_at_any_page_and_run_again_keeps_each_page_once(book, day, puts) -> None:
    left = iter(range(puts))

    def die_after():
        if next(left, None) is None:
            raise Killed

    def die_before_rows(_db):
        raise Killed

    with pytest.raises(Killed):
        take_reading(book, OPENAI, day, "T+1", 7, before_write=die_after, fence=die_before_rows)
    stored = objects_of(book, OPENAI, day)
    assert (len(stored), rows(book, day)) == (puts, [])
    taken = take_reading(book, OPENAI, day, "T+1", 7)
    assert {page.object_key: page.version_id for page in taken.pages} == objects_of(book, OPENAI, day) | stored
    assert len(rows(book, day)) == 3


def test_pages_of_two_tries_are_never_one_reading(book, twins, day) -> None:
    def die(_db):
        raise Killed

    with pytest.raises(Killed):
        take_reading(book, OPENAI, day, "T+1", 7, fence=die)
    # The provider states something else before the next try.
    state(twins, "openai", begin(day) + 7200, output=5)
    taken = take_reading(book, OPENAI, day, "T+1", 7)
    assert sum(each.quantities[5] for each in bill(book, taken).usage) == 15
    assert sum(line.amount for line in bill(book, taken).lines) == Decimal("0.0001") + Decimal("0.0000075")
    # What was stored first lies there still, and is named by nobody.
    assert len(objects_of(book, OPENAI, day)) > len(rows(book, day)) == 3


def test_two_that_read_at_once_have_one_reading(book, day) -> None:
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda operation: take_reading(book, OPENAI, day, "T+1", operation), (7, 8))
    assert one == other
    assert len(rows(book, day)) == 3


def test_a_late_restatement_is_a_new_fact_beside_the_first(book, twins, day) -> None:
    first = take_reading(book, ANTHROPIC, day, "T+1", 7)
    before = bill(book, first)
    again = take_reading(book, ANTHROPIC, day, "again", 8)
    assert not is_restated(before, bill(book, again))
    state(twins, "anthropic", begin(day) + 1800, output=90)
    late = take_reading(book, ANTHROPIC, day, "T+3", 9)
    after = bill(book, late)
    assert is_restated(before, after)
    assert [sum(line.amount for line in each.lines) for each in (before, after)] == [
        Decimal("0.0001") + Decimal("0.000005"),
        Decimal("0.0001") + Decimal("0.00005"),
    ]
    assert bill(book, take_reading(book, ANTHROPIC, day, "T+1", 9)) == before
    with connect(book) as db:
        assert latest_reading(db, ANTHROPIC, day) == late
        assert [each.reading for each in readings_of(db, ANTHROPIC, day)] == ["T+3", "again", "T+1"]
        assert latest_reading(db, ANTHROPIC, day + dt.timedelta(days=1)) is None


def test_names_of_readings_cannot_leave_their_folder() -> None:
    with pytest.raises(ValueError, match="pattern"):
        Reading(
            account="a",
            day=dt.date(2026, 1, 1),
            reading="../x",
            provider="openai",
            read_at=dt.datetime.now(dt.UTC),
            pages=(),
        )
