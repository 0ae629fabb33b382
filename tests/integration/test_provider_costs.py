"""A day's reports fetched whole from both providers' twins, byte by byte, or not at all."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from replica import inventory
from steward.ai.errors import NoAdministration
from steward.ai.key_rotation_errors import ProviderRefused, ProviderUnavailable
from steward.clients import provider_costs
from steward.clients.provider_costs import OrganizationShared, PageCut, Patience, ProviderBusy, fetch_pages
from steward.costs.cells import DAY, HOUR, MINUTE, Cell
from steward.costs.errors import PageUnusable
from steward.costs.reports import questions
from steward.costs.reports.reading import is_restated, read_bill
from steward.costs.values import Line, Usage
from steward.settings import load
from tests.integration.costs_ground import a_day, begin, cut, meddling, state
from tests.integration.providers.accounts import with_accounts
from tests.testbed.providers.ground import PROJECT, WORKSPACE, running_twins

pytestmark = pytest.mark.without_search

NOBODY = "http://127.0.0.1:9"
READ_AT = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    with running_twins(tmp_path_factory.mktemp("costs")) as running:
        yield running


@pytest.fixture(scope="module")
def settings(replica, twins):
    return with_accounts(load(inventory.settings_file(replica)), twins)


@pytest.fixture(scope="module")
def day(twins):
    """With use of both providers, and use in the hours before and after it."""
    day = a_day()
    noon = begin(day) + 12 * HOUR
    for kind in ("openai", "anthropic"):
        for at in (
            begin(day) - HOUR,
            noon,
            begin(day) + DAY + HOUR - 1,
            begin(day) - HOUR - 1,
            begin(day) + DAY + HOUR,
        ):
            state(twins, kind, at, input_uncached=1000, cache_read=200, output=30)
    state(twins, "openai", noon, endpoint="embeddings", model="text-embedding-3-small", input_uncached=50_000)
    state(twins, "anthropic", noon, cache_write_5m=400, cache_write_1h=500, web_searches=2, long_context=True)
    return day


@pytest.fixture
def way(settings):
    """Settings whose account `openai` is asked through a meddler."""
    with meddling(settings.providers["openai"].url) as meddler:
        accounts = {**settings.providers}
        accounts["openai"] = accounts["openai"].model_copy(update={"url": meddler.url})
        meddler.settings = settings.model_copy(update={"providers": accounts})
        yield meddler


def billed(settings, account, day, **how):
    pages = list(fetch_pages(settings, account, day, **how))
    return read_bill(account, account, day, pages, read_at=READ_AT, bucket=how.get("bucket", HOUR))


def test_a_day_of_openai_comes_whole_with_the_hours_around_it(settings, day) -> None:
    bill = billed(settings, "openai", day)
    chat = Cell("openai", 0, PROJECT, "o1", "gpt-6-luna", "default", "")
    told = (1000, 200, 0, 0, 0, 30, 0)
    hours = (begin(day) - HOUR, begin(day) + 12 * HOUR, begin(day) + DAY)
    embedded = chat._replace(hour=hours[1], model="text-embedding-3-small")
    assert bill.usage == (
        *(Usage(chat._replace(hour=hour), told, 1) for hour in hours),
        Usage(embedded, (50_000, 0, 0, 0, 0, 0, 0), 1),
    )
    line = Line(PROJECT, "o1", "gpt-6-luna", "default", "", "input_uncached", 1000, Decimal("0.0001"))
    assert line in bill.lines
    assert sum(each.amount for each in bill.lines) == Decimal("0.0001") + Decimal("0.000002") + Decimal(
        "0.000015"
    ) + Decimal("0.001")


def test_a_day_of_anthropic_comes_whole_with_the_hours_around_it(settings, day) -> None:
    bill = billed(settings, "anthropic", day)
    base = Cell("anthropic", 0, WORKSPACE, "a1", "claude-haiku-5-5", "standard", "base")
    hours = (begin(day) - HOUR, begin(day) + 12 * HOUR, begin(day) + DAY)
    assert {each.cell: each.quantities for each in bill.usage} == {
        **{base._replace(hour=hour): (1000, 200, 0, 0, 0, 30, 0) for hour in hours},
        base._replace(hour=hours[1], context="long"): (0, 0, 0, 400, 500, 0, 2),
    }
    assert all(each.requests is None for each in bill.usage)
    # Cents, as dollars: 1,000 tokens at 0.10 a million.
    assert Line(WORKSPACE, None, "claude-haiku-5-5", "standard", "base", "input_uncached", None, Decimal("0.0001")) in (
        bill.lines
    )
    assert Line(WORKSPACE, None, "", "", "", "web_searches", None, Decimal("0.02")) in bill.lines


@pytest.mark.parametrize("account", ["openai", "anthropic"])
def test_pages_follow_each_other_to_the_end_and_come_to_the_same_bill(settings, day, account, monkeypatch) -> None:
    whole = billed(settings, account, day)
    monkeypatch.setattr(questions, "WIDTHS", {DAY: ("1d", 1), HOUR: ("1h", 7), MINUTE: ("1m", 1440)})
    pages = list(fetch_pages(settings, account, day))
    # Twenty-six hours in sevens.
    reports = dict.fromkeys(page.report for page in pages)
    numbers = [[page.number for page in pages if page.report == report] for report in reports]
    assert numbers == ([[1], [1, 2, 3, 4], [1, 2, 3, 4]] if account == "openai" else [[1], [1, 2, 3, 4]])
    many = read_bill(account, account, day, pages, read_at=READ_AT)
    assert (many.usage, many.lines) == (whole.usage, whole.lines)


@pytest.mark.parametrize("account", ["openai", "anthropic"])
def test_usage_by_the_minute_says_the_same_as_by_the_hour(settings, day, account) -> None:
    hours, minutes = billed(settings, account, day), billed(settings, account, day, bucket=MINUTE)
    assert len(minutes.pages) > len(hours.pages)
    assert begin(day) + DAY + HOUR - MINUTE in {each.cell.hour for each in minutes.usage}
    assert not is_restated(hours, minutes)


def test_pages_are_kept_as_they_came(way, day) -> None:
    sent = []

    def meddle(_path, answer):
        # As only this provider writes it.
        body = answer[2].replace(b'"has_more":', b'\n "has_more" : ')
        sent.append(body)
        return answer[0], answer[1], body

    way.meddle = meddle
    assert [page.body for page in fetch_pages(way.settings, "openai", day)] == sent


def test_a_page_that_is_cut_is_asked_for_again(way, day) -> None:
    whole, pauses = [page.body for page in fetch_pages(way.settings, "openai", day)], []
    broken = iter([True, False, True])
    way.meddle = lambda _path, answer: cut(answer) if next(broken, False) else answer
    again = fetch_pages(way.settings, "openai", day, patience=Patience(wait=pauses.append))
    assert ([page.body for page in again], pauses) == (whole, [1.0, 1.0])


def test_a_page_that_is_always_cut_is_no_page(way, day) -> None:
    way.meddle = lambda _path, answer: cut(answer)
    with pytest.raises(PageCut, match="broke off a page of /v1/organization/costs after") as found:
        list(fetch_pages(way.settings, "openai", day, patience=Patience(wait=lambda _: None)))
    assert found.value.transient
    assert len(way.asked) == 3


@pytest.mark.parametrize(("status", "after", "pause"), [(429, "7", 7.0), (500, "", 1.0), (429, "Fri", 1.0)])
def test_a_provider_that_is_busy_is_given_the_time_that_it_asks_for(way, day, status, after, pause) -> None:
    busy, pauses = iter([True]), []
    way.meddle = lambda _path, answer: (status, {"retry-after": after}, b"{}") if next(busy, False) else answer
    assert len(list(fetch_pages(way.settings, "openai", day, patience=Patience(wait=pauses.append)))) == 3
    assert pauses == [pause]


def test_a_longer_pause_is_left_to_whoever_can_show_it(way, day) -> None:
    way.meddle = lambda *_: (429, {"retry-after": "60"}, b'{"error": {"code": "rate_limit_exceeded"}}')
    with pytest.raises(ProviderBusy, match="429 rate_limit_exceeded") as found:
        list(fetch_pages(way.settings, "openai", day, patience=Patience(wait=pytest.fail)))
    assert (found.value.retry_after_seconds, found.value.transient, len(way.asked)) == (60.0, True, 1)


def test_a_provider_that_does_not_answer_has_no_cost(way, settings, day) -> None:
    way.meddle = lambda *_: None
    at_once = Patience(wait=lambda _: None)
    with pytest.raises(ProviderUnavailable, match="does not answer GET"):
        list(fetch_pages(way.settings, "openai", day, patience=at_once))
    gone = settings.providers["openai"].model_copy(update={"url": NOBODY})
    with pytest.raises(ProviderUnavailable, match="ConnectError"):
        list(fetch_pages(settings.model_copy(update={"providers": {"openai": gone}}), "openai", day, patience=at_once))


@pytest.mark.parametrize(
    ("account", "secret", "status"),
    [("openai", "stranger", 401), ("openai", "o1", 403), ("anthropic", "stranger", 401), ("anthropic", "a1", 403)],
)
def test_credentials_that_are_refused_are_named_and_not_shown(settings, twins, account, secret, status) -> None:
    provider, file = settings.providers[account], f"file:{twins.secret_file(secret)}"
    told = settings.model_copy(update={"providers": {account: provider.model_copy(update={"admin_key": file})}})
    with pytest.raises(ProviderRefused, match=str(status)) as found:
        list(fetch_pages(told, account, a_day()))
    assert f"admin_key in [providers.{account}]" in found.value.hint
    assert not found.value.transient
    assert twins.secret(secret) not in str(found.value)


def test_what_the_settings_lack_is_said_before_anybody_is_asked(settings, day, tmp_path) -> None:
    openai = settings.providers["openai"]
    (tmp_path / "accent").write_text("sk-é\n")
    (tmp_path / "lines").write_text("sk-a\nsk-b\n")
    accent, lines = (openai.model_copy(update={"admin_key": f"file:{tmp_path}/{name}"}) for name in ("accent", "lines"))
    for accounts, error, words in (
        ({}, NoAdministration, "no such account"),
        ({"openai": openai.model_copy(update={"admin_key": None})}, NoAdministration, "no admin_key"),
        ({"openai": accent}, NoAdministration, "cannot be sent"),
        ({"openai": lines}, NoAdministration, "cannot be sent"),
        ({"openai": openai, "second": openai}, OrganizationShared, "openai and second"),
    ):
        with pytest.raises(error, match=words):
            list(fetch_pages(settings.model_copy(update={"providers": accounts}), "openai", day))


def test_a_report_that_never_ends_is_no_report(way, day) -> None:
    endless = (b'"has_more":false,"next_page":null', b'"has_more":true,"next_page":"page_once_more"')
    first = []

    def meddle(_path, answer):
        first.append(answer[2].replace(*endless))
        return 200, {}, first[0]

    way.meddle = meddle
    with pytest.raises(PageUnusable, match="costs of openai names page 3 as it named an earlier one"):
        list(fetch_pages(way.settings, "openai", day))


def test_a_page_that_says_there_are_more_has_to_say_which(way, day) -> None:
    way.meddle = lambda _path, answer: (200, {}, answer[2].replace(b'"has_more":false', b'"has_more":true'))
    with pytest.raises(PageUnusable, match="page 1 of costs says that there are more"):
        list(fetch_pages(way.settings, "openai", day))


def test_reports_without_measure_are_not_held_in_memory(settings, day, monkeypatch) -> None:
    monkeypatch.setattr(provider_costs, "MOST_BYTES", 100)
    with pytest.raises(PageUnusable, match="more than 100 bytes"):
        list(fetch_pages(settings, "openai", day))
    monkeypatch.undo()
    monkeypatch.setattr(provider_costs, "MOST_PAGES", 1)
    monkeypatch.setattr(questions, "WIDTHS", {DAY: ("1d", 1), HOUR: ("1h", 7)})
    with pytest.raises(PageUnusable, match="more than 1 pages"):
        list(fetch_pages(settings, "anthropic", day))
