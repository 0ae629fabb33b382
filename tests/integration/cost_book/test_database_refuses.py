"""What the database refuses by itself: a reading that is not whole, a figure of what is unknown, and any change of what is kept."""

from __future__ import annotations

import pytest
from psycopg import errors as pg

from steward.clients.cost_book import keep_reading
from steward.clients.cost_pages import take_reading
from steward.clients.postgres import connect
from tests.integration.cost_book.ground import OPENAI

pytestmark = pytest.mark.without_search


def test_the_database_takes_no_reading_that_is_not_whole(book, day) -> None:
    taken = take_reading(book, OPENAI, day, "T+1", 7)
    lacking = taken.model_copy(update={"reading": "T+3", "pages": taken.pages[:2]})
    with connect(book) as db:
        keep_reading(db, lacking, 7)
    add = "INSERT INTO steward.cost_pages SELECT account, day, reading, report, 9, sha256, object_key, version_id, bytes, read_at FROM steward.cost_pages WHERE day = %s"
    with pytest.raises(pg.RestrictViolation, match=r"has \d pages, and"), connect(book) as db:
        db.execute(add, [day])
    more = taken.model_copy(update={"reading": "more"})
    with pytest.raises(pg.RestrictViolation, match="has 3 pages, and 0 are entered"), connect(book) as db:
        db.execute(
            "INSERT INTO steward.cost_readings (account, day, reading, provider, bucket_seconds, pages, read_at, operation_id) "
            "VALUES (%s, %s, %s, 'openai', 3600, 3, now(), 1)",
            [more.account, more.day, more.reading],
        )


def tables():
    return (
        "cost_readings",
        "cost_pages",
        "cost_days",
        "provider_keys",
        "cost_statements",
        "budget_alerts",
        "budget_stops_lifted",
    )


@pytest.mark.parametrize("table", tables())
@pytest.mark.parametrize("change", ["DELETE FROM steward.{}", "TRUNCATE steward.{} CASCADE"])
def test_nothing_that_is_kept_goes_again(book, table, change) -> None:
    with pytest.raises(pg.RestrictViolation, match="append-only"), connect(book) as db:
        db.execute(change.format(table))


@pytest.mark.parametrize("table", [table for table in tables() if table != "cost_days"])
def test_nothing_that_is_kept_changes(book, table) -> None:
    column = "object_key" if table in {"cost_pages", "cost_statements"} else "operation_id"
    column = {"provider_keys": "project", "budget_stops_lifted": "why"}.get(table, column)
    with pytest.raises(pg.RestrictViolation, match="append-only"), connect(book) as db:
        db.execute(f"UPDATE steward.{table} SET {column} = {column}")  # noqa: S608  the test's own words


@pytest.mark.parametrize(("verdict", "figures"), [("UNKNOWN", '{"billed_usd": "0"}'), ("REFUTED", None)])
def test_the_database_takes_no_figure_of_what_is_unknown(book, day, verdict, figures) -> None:
    take_reading(book, OPENAI, day, "T+1", 7)
    statement = (
        "INSERT INTO steward.cost_days (account, day, reading, verdict, figures, reason, operation_id) "
        "VALUES (%s, %s, 'T+1', %s, %s, 'why', 1)"
    )
    with pytest.raises(pg.CheckViolation, match="figures_where_known"), connect(book) as db:
        db.execute(statement, [OPENAI, day, verdict, figures])
