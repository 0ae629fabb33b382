"""A bill out of the pages of one reading: all of them, each as it was kept, and every bucket that was asked for."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from steward.costs.cells import HOUR, NOTHING, Cell, Quantities, plus
from steward.costs.errors import PageUnusable
from steward.costs.kept import RawPage, Reading
from steward.costs.reports import anthropic_reports, openai_reports
from steward.costs.reports.buckets import Json, read_page
from steward.costs.reports.questions import begin_of, questions, usage_of
from steward.costs.values import Bill, Line, Usage

_ByReport = Mapping[str, Sequence[Json]]


def require_kept(reading: Reading, pages: Sequence[RawPage]) -> None:
    """Raises PageUnusable where *pages* are not, byte by byte, those that the reading names."""
    kept = {(page.report, page.number): page.sha256 for page in reading.pages}
    read = {(page.report, page.number): page.sha256 for page in pages}
    if differing := sorted(name for name in kept.keys() | read.keys() if kept.get(name) != read.get(name)):
        report, number = differing[0]
        raise PageUnusable(
            f"page {number} of {report} of {reading.account} on {reading.day} ({reading.reading}) is not the one that was kept",
            hint="compare the object's versions in the bucket for evidence with the row in steward.cost_pages",
        )


def bill_of(reading: Reading, pages: Sequence[RawPage]) -> Bill:
    """What the pages of *reading* state. Raises PageUnusable."""
    require_kept(reading, pages)
    told = reading.account, reading.provider, reading.day
    return read_bill(*told, pages, read_at=reading.read_at, bucket=reading.bucket_seconds)


def read_bill(
    account: str, provider: str, day: dt.date, pages: Sequence[RawPage], *, read_at: dt.datetime, bucket: int = HOUR
) -> Bill:
    """What *pages* state, which must be all of the day's reports. Raises PageUnusable."""
    by_report = {asked.report: _pages_of(asked.report, pages) for asked in questions(provider, day)}
    if strange := sorted({page.report for page in pages} - by_report.keys()):
        raise PageUnusable(f"{strange[0]} is no report of {provider}", hint="compare kind in [providers.…]")
    read = _openai if provider == "openai" else _anthropic
    usage, lines = read(account, by_report, day, usage_of(day, bucket))
    return Bill(
        account=account,
        provider=provider,
        day=day,
        usage=tuple(usage),
        lines=tuple(lines),
        read_at=read_at,
        pages=tuple(page.sha256 for page in pages),
        bucket=bucket,
    )


def is_restated(before: Bill, after: Bill) -> bool:
    """Whether the provider states another cost, or another use, than it did."""
    return Counter(before.lines) != Counter(after.lines) or _hours(before) != _hours(after)


def _hours(bill: Bill) -> dict[Cell, tuple[Quantities, int]]:
    """Of what was used, whatever buckets it was stated by."""
    found: dict[Cell, tuple[Quantities, int]] = {}
    for each in bill.usage:
        cell = each.cell._replace(hour=each.cell.hour // HOUR * HOUR)
        quantities, requests = found.get(cell, (NOTHING, 0))
        found[cell] = plus(quantities, each.quantities), requests + (each.requests or 0)
    return {cell: each for cell, each in found.items() if any(each[0]) or each[1]}


def _pages_of(report: str, pages: Sequence[RawPage]) -> list[Json]:
    found = sorted((page for page in pages if page.report == report), key=lambda page: page.number)
    if [page.number for page in found] != list(range(1, len(found) + 1)):
        raise PageUnusable(
            f"{report} has pages {', '.join(str(page.number) for page in found)}, expected each once",
            hint="the reading was not kept whole: read the day again under another name",
        )
    return [read_page(page.body, report) for page in found]


def _openai(account: str, pages: _ByReport, day: dt.date, begins: range) -> tuple[Iterator[Usage], Iterator[Line]]:
    reports = (openai_reports.COMPLETIONS, openai_reports.EMBEDDINGS)
    usage = (each for report in reports for each in openai_reports.usage(account, report, pages[report], begins))
    return usage, openai_reports.lines(pages[openai_reports.COSTS], begin_of(day))


def _anthropic(account: str, pages: _ByReport, day: dt.date, begins: range) -> tuple[Iterator[Usage], Iterator[Line]]:
    usage = anthropic_reports.usage(account, pages[anthropic_reports.USAGE], begins)
    return usage, anthropic_reports.lines(pages[anthropic_reports.COSTS], begin_of(day))
