"""One month: every day of every account explained, and held against what was planted."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path

import duckdb

from bench.costs.dollars import Key, planted_dollars, rate_dollars
from bench.costs.pages import OTHER_CENTS, OTHER_DAYS, Bills, accounts, days
from bench.costs.planted_prices import PlantedPrices
from bench.costs.planting import plant
from replica.providers.billing.usage import DAY
from steward.clients.costs_ledger import SealedDay
from steward.costs import anthropic_reports, openai_reports
from steward.costs.attribution import Day, explain
from steward.costs.buckets import Json, read_page
from steward.costs.cells import HOUR, MINUTE
from steward.costs.prices import PriceBook, load_prices
from steward.costs.values import Bill, Terms

PRICES = Path(__file__).parents[2] / "deployments" / "costs" / "prices.toml"


@dataclass
class Measured:
    """What a month came to."""

    seconds: float = 0.0
    days: list[Day] = field(default_factory=list)
    planted: dict[Key, Decimal] = field(default_factory=dict)
    peak: int = 0
    """Bytes, of the process that took most."""

    def found(self) -> dict[Key, Decimal]:
        """Dollars by cause, account, day and project."""
        sums = defaultdict[Key, Decimal](Decimal)
        for each in self.days:
            day = int(dt.datetime.combine(each.day, dt.time(), dt.UTC).timestamp()) // DAY
            for share in each.shares:
                sums[share.cause, each.account, day, share.project] += share.amount
        return dict(sums)


def right_percent(planted: Mapping[Key, Decimal], found: Mapping[Key, Decimal]) -> Decimal:
    """Of the planted dollars, those that were found under the same cause, account, day and project."""
    right = sum(
        (
            min(abs(amount), abs(found.get(key, Decimal(0))))
            for key, amount in planted.items()
            if amount * found.get(key, Decimal(0)) > 0
        ),
        Decimal(0),
    )
    return 100 * right / sum((abs(amount) for amount in planted.values()), Decimal("1E-30"))


def lay(
    truth: Path, month: str, seed: int, *, clean: bool
) -> dict[Key, Decimal]:
    """The month's bills and ledger, with everything planted: `truth`/ledger and `truth`/pages. What was planted."""
    database, begin = duckdb.connect(), days(month)[0]
    database.execute("SET timezone = 'UTC'")
    database.execute("SET memory_limit = '2GB'")
    plant(database, truth, seed, clean=clean)
    prices = PlantedPrices(begin, clean=clean)
    planted = planted_dollars(database, prices)
    if not clean:
        planted |= rate_dollars(database, prices, begin)
        planted |= {
            ("other_item", "anthropic-main", begin // DAY + day, "wrkspc_1"): Decimal(OTHER_CENTS) / 100
            for day in OTHER_DAYS
        }
    _lay_ledger(database, truth / "ledger")
    _lay_pages(Bills(database, prices, begin, clean=clean), truth / "pages", days(month))
    return planted


def _lay_ledger(database: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """By the hour, as it is sealed."""
    shutil.rmtree(folder, ignore_errors=True)
    database.execute(
        "COPY (SELECT * EXCLUDE (cause, seq), epoch(date_trunc('hour', reserved_at))::BIGINT AS sealed FROM entered) "
        f"TO '{folder}' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (sealed))"
    )


def _lay_pages(bills: Bills, folder: Path, begins: list[int]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for account in accounts():
        for day in begins:
            for number, (report, body) in enumerate(bills.pages(account, day)):
                file = folder / account.name / str(day) / f"{number}-{report.replace('/', '-')}.json"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(body)


def measure(truth: Path, month: str, planted: dict[Key, Decimal]) -> Measured:
    """Every day of every account, by as many processes as there are cores."""
    began = time.perf_counter()
    asked = [(truth, account.name, account.provider, day) for day in days(month) for account in accounts()]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(reconcile, *zip(*asked, strict=True)))
    return Measured(time.perf_counter() - began, [day for day, _ in found], planted, max(peak for _, peak in found))


def reconcile(truth: Path, account: str, provider: str, day: int) -> tuple[Day, int]:
    """From raw pages and sealed hours to causes; and the most memory that this process has had so far, in bytes."""
    book = _book()
    bill = _bill(truth / "pages" / account / str(day), account, provider, day)
    files = [
        file
        for hour in range(day - HOUR, day + DAY + HOUR, HOUR)
        for file in sorted((truth / "ledger" / f"sealed={hour}").glob("*.parquet"))
    ]
    models = {each.cell.model for each in bill.usage}
    long = {model: above for model in models if (above := book.long_context_above(provider, model))}
    keys = {
        f"v-key_{provider}_{n}": (f"key_{provider}_{n}", f"{'proj' if provider == 'openai' else 'wrkspc'}_{n}")
        for n in (1, 2, 3)
    }
    ledger = SealedDay(files, account, bill.day, keys, long, default_tier="default" if provider == "openai" else "standard")
    terms = Terms(
        gateway_keys=frozenset(key for key, _ in keys.values()),
        committed_tiers=frozenset({"priority"}) if provider == "anthropic" else frozenset(),
    )
    try:
        return explain(bill, ledger, book, terms, final=True), _peak()
    finally:
        ledger.close()


def _peak() -> int:
    # Not getrusage: its maximum is inherited from whoever started this process.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@cache
def _book() -> PriceBook:
    return load_prices(PRICES)


def _bill(folder: Path, account: str, provider: str, day: int) -> Bill:
    pages = defaultdict[str, list[Json]](list)
    for file in sorted(folder.iterdir(), key=lambda each: int(each.name.partition("-")[0])):
        report = file.stem.partition("-")[2]
        pages[report].append(read_page(file.read_bytes(), report))
    minutes = range(day - HOUR, day + DAY + HOUR, MINUTE)
    if provider == "openai":
        usage = [
            each
            for report in (openai_reports.COMPLETIONS, openai_reports.EMBEDDINGS)
            for each in openai_reports.usage(account, report, pages[report.replace("/", "-")], minutes)
        ]
        lines = list(openai_reports.lines(pages["costs"], day))
    else:
        usage = list(anthropic_reports.usage(account, pages["usage_report"], minutes))
        lines = list(anthropic_reports.lines(pages["cost_report"], day))
    return Bill(
        account=account,
        provider=provider,
        day=dt.datetime.fromtimestamp(day, dt.UTC).date(),
        usage=tuple(usage),
        lines=tuple(lines),
        read_at=dt.datetime.now(dt.UTC),
        bucket=MINUTE,
    )
