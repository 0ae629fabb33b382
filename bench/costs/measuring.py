"""One month: every day of every account explained, and held against what was planted."""

from __future__ import annotations

import datetime as dt
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
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
from steward.costs.buckets import read_page
from steward.costs.prices import load_prices
from steward.costs.values import Bill, Terms

HOUR = 3600
PRICES = Path(__file__).with_name("prices.toml")


@dataclass
class Measured:
    """What a month came to."""

    seconds: float = 0.0
    days: list[Day] = field(default_factory=list)
    planted: dict[Key, Decimal] = field(default_factory=dict)

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
) -> tuple[duckdb.DuckDBPyConnection, Bills, dict[Key, Decimal]]:
    """The month's bills and ledger, with everything planted; the ledger's days in `truth`/entered-*.parquet."""
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
    for day in days(month):
        # Days as they are sealed, hours put together.
        database.execute(
            f"COPY (SELECT * EXCLUDE (cause, seq) FROM entered WHERE reserved_at >= to_timestamp({day})::TIMESTAMP "
            f"AND reserved_at < to_timestamp({day + DAY})::TIMESTAMP ORDER BY reserved_at) "
            f"TO '{truth}/entered-{day}.parquet' (FORMAT parquet, COMPRESSION zstd)"
        )
    return database, Bills(database, prices, begin, clean=clean), planted


def measure(truth: Path, month: str, bills: Bills, planted: dict[Key, Decimal]) -> Measured:
    """Every day, one after the other."""
    book, measured, all_days = load_prices(PRICES), Measured(planted=planted), days(month)
    for account in accounts():
        for day in all_days:
            told = dict(bills.pages(account, day))
            began = time.perf_counter()
            measured.days.append(_day(account.name, account.provider, day, told, truth, book))
            measured.seconds += time.perf_counter() - began
    return measured


def _day(account, provider, day, told, truth, book) -> Day:
    pages = {report: [read_page(body, report)] for report, body in told.items()}
    hours = range(day - HOUR, day + DAY + HOUR, HOUR)
    if provider == "openai":
        usage = [
            each
            for report in (openai_reports.COMPLETIONS, openai_reports.EMBEDDINGS)
            for each in openai_reports.usage(account, report, pages[report], hours)
        ]
        lines = list(openai_reports.lines(pages["costs"], day))
    else:
        usage = list(anthropic_reports.usage(account, pages["usage_report"], hours))
        lines = list(anthropic_reports.lines(pages["cost_report"], day))
    bill = Bill(
        account=account,
        provider=provider,
        day=dt.datetime.fromtimestamp(day, dt.UTC).date(),
        usage=tuple(usage),
        lines=tuple(lines),
        read_at=dt.datetime.now(dt.UTC),
    )
    files = [file for each in (day - DAY, day, day + DAY) if (file := truth / f"entered-{each}.parquet").exists()]
    models = {each.cell.model for each in usage}
    long = {model: above for model in models if (above := book.long_context_above(provider, model))}
    keys = {
        f"v-key_{provider}_{n}": (f"key_{provider}_{n}", f"{'proj' if provider == 'openai' else 'wrkspc'}_{n}")
        for n in (1, 2, 3)
    }
    ledger = SealedDay(
        files, account, bill.day, keys, long, default_tier="default" if provider == "openai" else "standard", threads=2
    )
    terms = Terms(
        gateway_keys=frozenset(key for key, _ in keys.values()),
        committed_tiers=frozenset({"priority"}) if provider == "anthropic" else frozenset(),
    )
    try:
        return explain(bill, ledger, book, terms, final=True)
    finally:
        ledger.close()
