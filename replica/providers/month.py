"""A month without HTTP: attempts as parquet, and the pages and invoices that the providers would have answered with.

`attempts/*.parquet` is the truth, `usage.parquet` its sums by hour. `bills/ACCOUNT/DAYS/REPORT-N.json` are the pages of a report, read DAYS after the month's end,
byte for byte as the API has them; later ones differ, for some usage is stated late and some is taken back. Memory is bounded:
attempts are made and written a million at a time, and bills come from their sums by hour.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import duckdb

from replica.providers import month_attempts
from replica.providers.anthropic import reports as anthropic_reports
from replica.providers.billing import invoices
from replica.providers.billing.buckets import Query
from replica.providers.billing.prices import Prices
from replica.providers.billing.usage import DAY, Held, Usage
from replica.providers.configuration import Account
from replica.providers.exchange import dumps
from replica.providers.month_attempts import ANTHROPIC, OPENAI
from replica.providers.openai import reports as openai_reports

_CHUNK = 1_000_000
# When the bills are read: what providers state is final at none of them, and settled at the last.
DAYS_AFTER = (1, 3, 35)
ACCOUNTS = (
    Account(OPENAI, "openai", "org-platform", ""),
    Account(ANTHROPIC, "anthropic", "6f1f7c1e-platform", ""),
)
#: What each account was granted, in dollars.
CREDITS = {OPENAI: "250.00", ANTHROPIC: "0"}
Page = Callable[[Query], dict[str, Any]]

# In the order of `Usage`; of the later ones, `visible_at` is 0 where it was known from the first.
_SUMS = """
    SELECT epoch(date_trunc('hour', arrived_at))::BIGINT AS start, provider, account, project, key_id, endpoint, model_served,
        tier_served, long_context, sum(sign)::BIGINT AS requests, sum(input_uncached * sign)::BIGINT AS input_uncached,
        sum(cache_read * sign)::BIGINT AS cache_read, sum(cache_write_5m * sign)::BIGINT AS cache_write_5m,
        sum(cache_write_1h * sign)::BIGINT AS cache_write_1h, sum(cache_write_30m * sign)::BIGINT AS cache_write_30m,
        sum(output * sign)::BIGINT AS output, sum(web_searches * sign)::BIGINT AS web_searches, visible AS visible_at
    FROM (
        SELECT *, 1 AS sign, CASE WHEN visible_at > arrived_at THEN epoch(visible_at) ELSE 0.0 END AS visible
        FROM attempts WHERE billed
        UNION ALL SELECT *, 1, 0.0 FROM attempts WHERE stated_twice
        UNION ALL SELECT *, -1, epoch(arrived_at) + 10 * 86400 FROM attempts WHERE stated_twice
    )
    GROUP BY ALL ORDER BY ALL
"""
_USAGE = "usage.parquet"


def make(folder: Path, month: str, attempts: int, seed: int, *, memory: str = "1GB") -> str:
    """Write everything below *folder*; says what was made. The same arguments make the same files."""
    start, end = invoices.bounds(month)
    for name in ("attempts", "bills"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "attempts").mkdir(parents=True)
    with duckdb.connect() as database:
        database.execute(f"SET memory_limit = '{memory}'")
        database.execute("SET preserve_insertion_order = true")
        database.execute(month_attempts.macro(seed))
        _write_attempts(database, folder / "attempts", attempts=attempts, seed=seed, start=start, end=end)
        database.read_parquet(str(folder / "attempts" / "*.parquet")).create_view("attempts")
        database.execute(f"COPY ({_SUMS}) TO '{folder / _USAGE}' (FORMAT parquet, COMPRESSION zstd)")
    _write_bills(folder / "bills", usage(folder), month, end)
    files = _digests(folder)
    manifest = {"month": month, "seed": seed, "attempts": attempts, "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return f"{attempts:,} attempts of {month}, seed {seed}: {len(files)} files in {folder}"


def _write_attempts(
    database: duckdb.DuckDBPyConnection, folder: Path, *, attempts: int, seed: int, start: int, end: int
) -> None:
    for number, first in enumerate(range(0, attempts, _CHUNK)):
        query = month_attempts.query(
            first=first,
            last=min(attempts, first + _CHUNK),
            attempts=attempts,
            seed=seed,
            start=start,
            seconds=end - start,
        )
        file = folder / f"{number:04}.parquet"
        database.execute(f"COPY ({query}) TO '{file}' (FORMAT parquet, COMPRESSION zstd)")


def usage(folder: Path) -> Iterator[Usage]:
    """The sums by hour of a month that was made in *folder*."""
    with duckdb.connect() as database:
        cursor = database.execute("SELECT * FROM read_parquet(?)", [str(folder / _USAGE)])
        while found := cursor.fetchmany(10_000):
            yield from (Usage(*row) for row in found)


def _write_bills(folder: Path, sums: Iterable[Usage], month: str, end: int) -> None:
    prices, rows = Prices(), list(sums)
    for days in DAYS_AFTER:
        source = Held(rows, as_of=end + days * DAY)
        for account in ACCOUNTS:
            place = folder / account.name / str(days)
            place.mkdir(parents=True)
            for name, query, page in _reports(prices, source, account, month):
                _write_pages(place, name, query, page)
            granted = [{"description": "Promotional credit", "amount": CREDITS[account.name]}]
            bill = invoices.invoice(prices, source, account, month, granted if CREDITS[account.name] != "0" else [])
            (place / "invoice.json").write_bytes(dumps(bill))


def _reports(
    prices: Prices, source: Held, account: Account, month: str
) -> list[tuple[str, dict[str, list[str]], Page]]:
    start, end = invoices.bounds(month)
    # What a reconciliation asks for: every dimension that the report has.
    if account.provider == "openai":
        span = {"start_time": [str(start)], "end_time": [str(end)]}
        by_key = {**span, "group_by": ["project_id", "api_key_id", "model", "service_tier"], "limit": ["7"]}
        return [
            (
                "costs",
                {**span, "group_by": ["project_id", "line_item", "api_key_id"]},
                lambda query: openai_reports.costs(prices, source, account, query, end),
            ),
            ("completions", by_key, lambda query: openai_reports.completions(source, account, query, end)),
            ("embeddings", by_key, lambda query: openai_reports.embeddings(source, account, query, end)),
        ]
    span = {"starting_at": [anthropic_reports.moment(start)], "ending_at": [anthropic_reports.moment(end)]}
    groups = ["workspace_id", "api_key_id", "model", "service_tier", "context_window"]
    return [
        (
            "cost_report",
            {**span, "group_by": ["workspace_id", "description"]},
            lambda query: anthropic_reports.cost_report(prices, source, account, query, end),
        ),
        (
            "usage_report",
            {**span, "group_by": groups},
            lambda query: anthropic_reports.usage_report(source, account, query, end),
        ),
    ]


def _write_pages(place: Path, name: str, query: dict[str, list[str]], page: Page) -> None:
    number, token = 1, ""
    while number == 1 or token:
        answer = page({**query, "page": [token]} if token else query)
        (place / f"{name}-{number:03}.json").write_bytes(dumps(answer))
        number, token = number + 1, answer["next_page"] or ""


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(
        each for each in folder.rglob("*") if each.suffix in {".json", ".parquet"} and each.name != "manifest.json"
    )
    return {str(each.relative_to(folder)): hashlib.sha256(each.read_bytes()).hexdigest() for each in files}
