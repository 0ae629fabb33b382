"""Readings of a day: every page locked in the bucket and named by a row, whole or not at all, and never another one's."""

from __future__ import annotations

import datetime as dt
import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from psycopg import errors as pg

from replica import inventory
from steward.clients.cost_book import (
    alerts_of,
    day_named,
    keep_day,
    keep_reading,
    keep_statement,
    latest_days,
    latest_reading,
    latest_statement,
    raise_alert,
    readings_of,
)
from steward.clients.cost_pages import DayNotOver, load_bill, load_result, store_locked, take_reading
from steward.clients.postgres import connect
from steward.clients.provider_costs import PageCut, Patience
from steward.clients.s3 import open_evidence_bucket
from steward.costs.budgets.spending import Scope
from steward.costs.errors import PageUnusable
from steward.costs.kept import (
    ALL,
    BudgetAlert,
    CostDay,
    CostStatement,
    Reading,
    StoredObject,
    result_key,
    statement_key,
)
from steward.costs.reports.reading import is_restated
from steward.migrations.apply import migrate
from steward.settings import load
from steward.verdicts import Verdict
from tests.integration.costs_ground import a_day, begin, cut, meddling, state
from tests.integration.fresh_database import fresh_database
from tests.integration.providers.accounts import accounts
from tests.integration.providers.ground import Twins
from tests.keyring_ground import query

pytestmark = pytest.mark.without_search

OPENAI = "openai-" + secrets.token_hex(4)
ANTHROPIC = "anthropic-" + secrets.token_hex(4)
SOMEWHERE = StoredObject(object_key="ai-costs/days/x", version_id="v", sha256="a" * 64)


class Killed(BaseException):
    """As a process that dies: nothing catches it."""


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    running = Twins(tmp_path_factory.mktemp("costs"))
    running.start()
    try:
        yield running
    finally:
        running.kill()


@pytest.fixture(scope="module")
def book(replica, twins):
    """Settings with an empty database, whose accounts are named as no other run names them."""
    named = dict(zip((OPENAI, ANTHROPIC), accounts(twins).values(), strict=True))
    with fresh_database(load(inventory.settings_file(replica))) as fresh:
        migrate(fresh)
        yield fresh.model_copy(update={"providers": named})


@pytest.fixture
def day(twins):
    day = a_day()
    state(twins, "openai", begin(day) + 1800, input_uncached=1000, output=10)
    state(twins, "anthropic", begin(day) + 1800, input_uncached=1000, output=10)
    return day


@pytest.fixture
def way(book):
    with meddling(book.providers[OPENAI].url) as meddler:
        changed = book.providers[OPENAI].model_copy(update={"url": meddler.url})
        meddler.settings = book.model_copy(update={"providers": {OPENAI: changed}})
        yield meddler


def bill(settings, reading):
    with open_evidence_bucket(settings) as objects:
        return load_bill(objects, reading)


def objects_of(settings, account, day):
    with open_evidence_bucket(settings) as objects:
        return objects.first_versions(f"ai-costs/pages/{account}/{day}/")


def rows(settings, day):
    columns = "account, reading, report, number, sha256, object_key, version_id"
    return query(settings, f"SELECT {columns} FROM steward.cost_pages WHERE day = %s ORDER BY object_key", day)  # noqa: S608  the test's own words


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


@pytest.mark.parametrize(("verdict", "figures"), [("UNKNOWN", '{"billed_usd": "0"}'), ("REFUTED", None)])
def test_the_database_takes_no_figure_of_what_is_unknown(book, day, verdict, figures) -> None:
    take_reading(book, OPENAI, day, "T+1", 7)
    statement = (
        "INSERT INTO steward.cost_days (account, day, reading, verdict, figures, reason, operation_id) "
        "VALUES (%s, %s, 'T+1', %s, %s, 'why', 1)"
    )
    with pytest.raises(pg.CheckViolation, match="figures_where_known"), connect(book) as db:
        db.execute(statement, [OPENAI, day, verdict, figures])


def test_results_and_statements_are_read_back_as_they_were_stored(book, day) -> None:
    body = b'{"amount": "0.000000000001"}'
    with open_evidence_bucket(book) as objects:
        result = store_locked(book, objects, result_key(OPENAI, day, "T+1", body), body)
        assert store_locked(book, objects, result.object_key, body) == result
        assert load_result(objects, result) == body
        with pytest.raises(PageUnusable, match="SHA-256 is another"):
            store_locked(book, objects, result.object_key, b"{}")
        with pytest.raises(PageUnusable):
            load_result(objects, result.model_copy(update={"sha256": "c" * 64}))
    assert statement_key(ALL, day, day, body).startswith(f"ai-costs/statements/all/{day}_{day}.")


def test_a_period_is_stated_once_by_an_operation_and_anew_by_the_next(book, day) -> None:
    stated = CostStatement(
        subject=ALL,
        first_day=day,
        last_day=day,
        verdict=Verdict.VERIFIED,
        figures={"billed_usd": "1.5"},
        result=SOMEWHERE,
        operation_id=7,
    )
    with connect(book) as db:
        assert keep_statement(db, stated) == stated
        assert keep_statement(db, stated.model_copy(update={"figures": {"billed_usd": "2"}})) == stated
        later = keep_statement(db, stated.model_copy(update={"figures": {"billed_usd": "2"}, "operation_id": 8}))
        assert latest_statement(db, ALL, day, day) == later != stated
        assert latest_statement(db, OPENAI, day, day) is None


def test_an_alert_is_one_operations_to_tell(book) -> None:
    alert = BudgetAlert(
        budget="tenant:Globex Ltd",
        month=dt.date(2026, 10, 1),
        threshold="80",
        scope=Scope.TENANT,
        subject="Globex Ltd",
        limit_usd=Decimal("100.000000000001"),
        amount_usd=Decimal(81),
        operation_id=7,
    )
    with connect(book) as db:
        assert raise_alert(db, alert)
        # Its step again, after it was killed before it told.
        assert raise_alert(db, alert)
        assert not raise_alert(db, alert.model_copy(update={"operation_id": 8}))
        assert raise_alert(db, alert.model_copy(update={"operation_id": 8, "threshold": "100"}))
        assert alerts_of(db, alert.month)[0] == alert
        assert [each.threshold for each in alerts_of(db, alert.month)] == ["80", "100"]


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
