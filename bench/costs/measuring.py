"""One month: every day of every account explained, and held against what was planted."""

from __future__ import annotations

import datetime as dt
import os
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, cached_property
from pathlib import Path

from bench.costs.dollars import Key
from bench.costs.laying import workers
from bench.costs.pages import accounts, days
from replica.providers.billing.usage import DAY
from steward.clients.cost_explaining import without_collections
from steward.clients.costs_ledger import SealedDay
from steward.costs.attribution.days import Day, explain
from steward.costs.cells import HOUR, MINUTE
from steward.costs.pricing.prices import PriceBook, load_prices
from steward.costs.reports import anthropic_reports, openai_reports
from steward.costs.reports.buckets import Json, read_page
from steward.costs.values import Bill, Terms

PRICES = Path(__file__).parents[2] / "deployments" / "costs" / "prices.toml"


@dataclass(frozen=True)
class Measured:
    """What a month came to."""

    seconds: float
    days: Sequence[Day]
    planted: Mapping[Key, Decimal]
    peak: int
    """Bytes, of all processes together, each at its own highest."""

    @cached_property
    def found(self) -> Mapping[Key, Decimal]:
        """Dollars by cause, account, day and project."""
        sums = defaultdict[Key, Decimal](Decimal)
        for each in self.days:
            day = int(dt.datetime.combine(each.day, dt.time(), dt.UTC).timestamp()) // DAY
            for share in each.shares:
                sums[share.cause, each.account, day, share.project] += share.amount
        return dict(sums)

    @property
    def billed(self) -> Decimal:
        """Dollars."""
        return sum((day.billed for day in self.days), Decimal(0))

    @property
    def ledger(self) -> Decimal:
        """Dollars."""
        return sum((day.ledger for day in self.days), Decimal(0))

    @property
    def unexplained(self) -> Decimal:
        """Dollars of all account-days: what one has too many does not pay for what another lacks."""
        return sum((abs(day.unexplained) for day in self.days), Decimal(0))

    @property
    def bound(self) -> Decimal:
        """Dollars."""
        return sum((day.bound for day in self.days), Decimal(0))

    @property
    def right_percent(self) -> Decimal:
        """Of the planted dollars, those that were found under the same cause, account, day and project."""
        sums = self.by_cause().values()
        return 100 * sum(right for _, right, _ in sums) / sum((there for there, _, _ in sums), Decimal("1E-30"))

    def by_cause(self) -> Mapping[str, tuple[Decimal, Decimal, Decimal]]:
        """Dollars that were planted, that were found where they were, and that were found beside it."""
        sums = defaultdict[str, list[Decimal]](lambda: [Decimal(0)] * 3)
        for key in self.planted.keys() | self.found.keys():
            there, found = self.planted.get(key, Decimal(0)), self.found.get(key, Decimal(0))
            right = min(abs(there), abs(found)) if there * found > 0 else Decimal(0)
            added = (abs(there), right, abs(found) - right)
            sums[key[0]] = [a + b for a, b in zip(sums[key[0]], added, strict=True)]
        return {cause: (there, right, beside) for cause, (there, right, beside) in sums.items()}


def false_days(month: Measured) -> int:
    """Account-days to which a cause is put that is not in their truth: streams given up have searches that nobody told, too."""
    true = {(cause, account, day) for cause, account, day, _ in month.planted}
    return sum(
        1
        for day in month.days
        if any((share.cause.value, day.account, _number(day)) not in true for share in day.shares)
    )


def _number(day: Day) -> int:
    return day.day.toordinal() - dt.date(1970, 1, 1).toordinal()


def measure(place: Path, month: str, planted: Mapping[Key, Decimal]) -> Measured:
    """Every day of every account, by as many processes as there are cores."""
    began = time.perf_counter()
    asked = [(place, account.name, account.provider, day) for day in days(month) for account in accounts()]
    with workers() as pool:
        found = list(pool.map(reconcile, *zip(*asked, strict=True)))
    seconds, peaks = time.perf_counter() - began, dict[int, int]()
    for _, process, peak in found:
        peaks[process] = max(peak, peaks.get(process, 0))
    return Measured(seconds, [day for day, _, _ in found], planted, sum(peaks.values()))


@without_collections()
def reconcile(place: Path, account: str, provider: str, day: int) -> tuple[Day, int, int]:
    """From raw pages and sealed hours to causes; by which process, and the most memory that it has had so far, in bytes."""
    book = _book()
    bill = _bill(place / "pages" / account / str(day), account, provider, day)
    files = [
        file
        for hour in range(day - HOUR, day + DAY + HOUR, HOUR)
        for file in sorted((place / "ledger" / f"sealed={hour}").glob("*.parquet"))
    ]
    models = {each.cell.model for each in bill.usage}
    long = {model: above for model in models if (above := book.long_context_above(provider, model))}
    keys = {
        f"v-key_{provider}_{n}": (f"key_{provider}_{n}", f"{'proj' if provider == 'openai' else 'wrkspc'}_{n}")
        for n in (1, 2, 3)
    }
    ledger = SealedDay(
        files, account, bill.day, keys, long, default_tier="default" if provider == "openai" else "standard"
    )
    terms = Terms(
        gateway_keys=frozenset(key for key, _ in keys.values()),
        committed_tiers=frozenset({"priority"}) if provider == "anthropic" else frozenset(),
    )
    try:
        return explain(bill, ledger, book, terms, final=True), os.getpid(), _peak()
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
