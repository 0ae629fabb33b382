"""A day that could not be had may be had yet; one that was had stays, and no later failure takes its figures back."""

from __future__ import annotations

import datetime as dt

import pytest
from psycopg import errors as pg

from steward.clients.cost_book import day_named, keep_day, latest_days
from steward.clients.cost_pages import take_reading
from steward.clients.postgres import connect
from steward.costs.kept import CostDay
from steward.verdicts import Verdict
from tests.integration.cost_book.ground import ANTHROPIC, OPENAI, SOMEWHERE

pytestmark = pytest.mark.without_search


def known(day, **values):
    figures = {"ledger_usd": "1.000000000001", "billed_usd": "1.5", "requests": 3}
    told = {"verdict": Verdict.VERIFIED, "figures": figures, "result": SOMEWHERE, "operation_id": 7}
    return CostDay(**{"account": OPENAI, "day": day, "reading": "T+1", **told, **values})


def unknown(day, **values):
    return CostDay(
        account=OPENAI,
        day=day,
        reading=values.pop("reading", "T+1"),
        verdict=Verdict.UNKNOWN,
        reason="away",
        operation_id=6,
    )


def test_a_day_that_could_not_be_had_may_be_had_yet_and_then_stays(book, day) -> None:
    with connect(book) as db:
        assert keep_day(db, unknown(day)) == unknown(day) == day_named(db, OPENAI, day, "T+1")
    with pytest.raises(pg.RestrictViolation, match="no page of it was kept"), connect(book) as db:
        keep_day(db, known(day))
    take_reading(book, OPENAI, day, "T+1", 7)
    with connect(book) as db:
        assert keep_day(db, known(day)) == known(day)
        assert keep_day(db, known(day, figures={"ledger_usd": "2"}, operation_id=8)) == known(day)
        assert keep_day(db, unknown(day)) == known(day)
    for change in ("verdict = 'REFUTED'", "figures = '{}'", "reading = 'T+2'"):
        with pytest.raises(pg.RestrictViolation, match="and stays"), connect(book) as db:
            db.execute(f"UPDATE steward.cost_days SET {change} WHERE day = %s", [day])  # noqa: S608  the test's own words


def test_a_day_that_could_not_be_had_takes_no_figure_back(book, day) -> None:
    take_reading(book, OPENAI, day, "T+1", 7)
    take_reading(book, OPENAI, day, "T+35", 7)
    other = day - dt.timedelta(days=1)
    with connect(book) as db:
        keep_day(db, known(day))
        keep_day(db, unknown(day, reading="T+3"))
        keep_day(db, unknown(other))
        assert latest_days(db, other, day, OPENAI) == [unknown(other), known(day)]
        restated = keep_day(db, known(day, reading="T+35", figures={"billed_usd": "2"}))
        assert latest_days(db, day, day, OPENAI) == latest_days(db, day, day) == [restated]
        assert latest_days(db, day, day, ANTHROPIC) == []


@pytest.mark.parametrize(
    "values",
    [
        {"verdict": Verdict.UNKNOWN},
        {"figures": None},
        {"result": None},
        {"reason": "none"},
        {"figures": {"billed_usd": 0.1}},
        {"figures": {"causes": [{"amount": 0.1}]}},
        {"reading": "T 1"},
        {"reading": "../T"},
    ],
)
def test_a_day_that_contradicts_itself_is_none(day, values) -> None:
    with pytest.raises(ValueError, match=r"expected|pattern"):
        known(day, **values)
