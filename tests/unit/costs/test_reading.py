from __future__ import annotations

import datetime as dt
import json

import pytest

from steward.costs.cells import DAY, HOUR, MINUTE
from steward.costs.errors import PageUnusable
from steward.costs.kept import KeptPage, RawPage, Reading, page_key
from steward.costs.reports.questions import begin_of, questions
from steward.costs.reports.reading import bill_of, is_restated, read_bill
from tests.unit.costs.test_openai_reports import COST, TOLD

TODAY = dt.date(2026, 11, 20)
MIDNIGHT = 1_795_132_800
READ_AT = dt.datetime(2026, 11, 21, 6, tzinfo=dt.UTC)


def page(report, width, results, number=1, of=1):
    """The *number*th of *of* pages: the buckets that were asked for, shared out."""
    begins = (
        range(MIDNIGHT, MIDNIGHT + DAY, DAY) if width == DAY else range(MIDNIGHT - HOUR, MIDNIGHT + DAY + HOUR, width)
    )
    each = -(-len(begins) // of)
    data = [
        {"start_time": begin, "end_time": begin + width, "results": results.get(begin, [])}
        for begin in begins[(number - 1) * each : number * each]
    ]
    told = {"data": data, "has_more": number < of, "next_page": None}
    return RawPage(report, number, json.dumps(told).encode())


def pages(*, width=HOUR, at=MIDNIGHT + HOUR, used=TOLD, cost=COST):
    return [
        page("costs", DAY, {MIDNIGHT: [cost]}),
        page("usage/completions", width, {at: [used]}, 1, 2),
        page("usage/completions", width, {at: [used]}, 2, 2),
        page("usage/embeddings", width, {}),
    ]


def bill(found, **how):
    return read_bill("main", "openai", TODAY, found, read_at=READ_AT, **how)


def reading(found):
    kept = [
        KeptPage(
            report=each.report,
            number=each.number,
            sha256=each.sha256,
            object_key=page_key("main", TODAY, "T+1", each),
            version_id="v",
            bytes=len(each.body),
        )
        for each in found
    ]
    return Reading(account="main", day=TODAY, reading="T+1", provider="openai", read_at=READ_AT, pages=tuple(kept))


def test_a_bill_is_all_reports_of_a_reading_whatever_order_pages_come_in() -> None:
    found = pages()
    made = bill_of(reading(found), found[::-1])
    assert (made.account, made.provider, made.day, made.read_at) == ("main", "openai", TODAY, READ_AT)
    assert [each.cell.hour for each in made.usage] == [MIDNIGHT + HOUR]
    assert len(made.lines) == 1
    assert set(made.pages) == {each.sha256 for each in found}


@pytest.mark.parametrize("lost", range(4))
def test_a_reading_that_lacks_a_page_is_no_bill(lost) -> None:
    found = pages()
    left = found[:lost] + found[lost + 1 :]
    with pytest.raises(PageUnusable):
        bill(left)
    with pytest.raises(PageUnusable, match="is not the one that was kept"):
        bill_of(reading(found), left)


def test_a_page_twice_or_of_another_report_is_no_bill() -> None:
    with pytest.raises(PageUnusable, match="expected each once"):
        bill([*pages(), pages()[1]])
    with pytest.raises(PageUnusable, match="cost_report is no report of openai"):
        bill([*pages(), page("cost_report", DAY, {})])


def test_a_page_that_differs_by_one_byte_is_not_the_one_that_was_kept() -> None:
    found = pages()
    changed = [*found[:3], RawPage("usage/embeddings", 1, found[3].body + b" ")]
    with pytest.raises(PageUnusable, match="page 1 of usage/embeddings of main on 2026-11-20"):
        bill_of(reading(found), changed)


def test_a_provider_that_says_the_same_in_other_words_has_restated_nothing() -> None:
    before, other = bill(pages()), pages(cost={**COST, "amount": {"value": "0.06250", "currency": "USD"}})
    assert not is_restated(before, bill(other))
    by_minute = bill(pages(width=MINUTE, at=MIDNIGHT + HOUR + 17 * MINUTE), bucket=MINUTE)
    assert not is_restated(before, by_minute)


@pytest.mark.parametrize(
    "changed",
    [
        {"cost": {**COST, "amount": {"value": 0.0626, "currency": "usd"}}},
        {"used": {**TOLD, "output_tokens": 21}},
        {"used": {**TOLD, "num_model_requests": 5}},
        {"used": {**TOLD, "api_key_id": "key_2"}},
        {"at": MIDNIGHT + 2 * HOUR},
    ],
)
def test_another_cost_or_use_is_a_restatement(changed) -> None:
    assert is_restated(bill(pages()), bill(pages(**changed)))


@pytest.mark.parametrize(
    "day", [dt.date(2026, 3, 29), dt.date(2026, 10, 25), dt.date(2026, 12, 31), dt.date(2028, 2, 29)]
)
def test_a_day_is_asked_for_in_utc_with_the_hours_around_it(day, monkeypatch) -> None:
    midnight = begin_of(day)
    assert dt.datetime.fromtimestamp(midnight, dt.UTC).isoformat() == f"{day}T00:00:00+00:00"
    for provider in ("openai", "anthropic"):
        costs, *usage = questions(provider, day)
        assert list(costs.begins) == [midnight]
        assert all(
            (each.begins[0], each.begins[-1], len(each.begins)) == (midnight - 3600, midnight + 86_400, 26)
            for each in usage
        )
    assert questions("anthropic", dt.date(2026, 12, 31))[0].query["ending_at"] == "2027-01-01T00:00:00Z"
