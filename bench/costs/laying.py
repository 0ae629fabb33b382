"""A month laid out as production would find it: sealed hours of the ledger, pages of the provider. And what was planted in it.

Attempts are made and struck a part of the month at a time, by as many processes as there are cores: every row is a function
of the seed and its number, so the parts do not need each other.
"""

# ruff: noqa: S608  Queries are made of names and folders of the bench itself.

from __future__ import annotations

import multiprocessing
import os
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import duckdb

from bench.costs.dollars import Key, planted_dollars, rate_dollars
from bench.costs.pages import OTHER_CENTS, OTHER_DAYS, Bills, accounts, days
from bench.costs.planted_prices import PlantedPrices
from bench.costs.planting import plant
from replica.providers import month_attempts
from replica.providers.billing.usage import DAY, Held, Usage
from replica.providers.configuration import Account

#: Attempts made at once: half a million take about a gigabyte on the way.
PART = 500_000
_HOUR = 3600


@dataclass(frozen=True)
class Month:
    """What is asked for."""

    place: Path
    name: str
    """YYYY-MM"""
    attempts: int
    seed: int
    clean: bool = False
    """Nothing is planted but what the generated month itself has."""

    @property
    def begin(self) -> int:
        """In Unix time."""
        return days(self.name)[0]

    @property
    def prices(self) -> PlantedPrices:
        """As billed."""
        return PlantedPrices(self.begin, clean=self.clean)


def workers() -> ProcessPoolExecutor:
    """One for each core; each is fresh, so that its memory is its own."""
    return ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn"))


def lay(month: Month) -> dict[Key, Decimal]:
    """`place`/ledger and `place`/pages, with everything planted. What was planted, in dollars."""
    parts = [range(first, min(month.attempts, first + PART)) for first in range(0, month.attempts, PART)]
    with workers() as pool:
        planted = _added(pool.map(lay_part, [month] * len(parts), parts))
        asked = [(month, account, day) for account in accounts() for day in days(month.name)]
        list(pool.map(lay_pages, *zip(*asked, strict=True)))
    if not month.clean:
        planted |= {
            ("other_item", "anthropic-main", month.begin // DAY + day, "wrkspc_1"): Decimal(OTHER_CENTS) / 100
            for day in OTHER_DAYS
        }
    return planted


def _added(parts: Iterable[dict[Key, Decimal]]) -> dict[Key, Decimal]:
    sums = defaultdict[Key, Decimal](Decimal)
    for part in parts:
        for key, amount in part.items():
            sums[key] += amount
    return {key: amount for key, amount in sums.items() if amount}


def lay_part(month: Month, numbers: range) -> dict[Key, Decimal]:
    """Attempts of these *numbers*, as the ledger and the provider have them."""
    for name in ("ledger", "usage"):
        (month.place / name).mkdir(parents=True, exist_ok=True)
    with duckdb.connect(config={"threads": 1}) as database:
        database.execute("SET timezone = 'UTC'")
        make_truth(database, month, numbers)
        plant(database, month.seed, month.begin, clean=month.clean)
        database.execute(f"COPY sums TO '{month.place / 'usage' / f'{numbers.start:09}.parquet'}' (FORMAT parquet)")
        # By the hour, as it is sealed.
        database.execute(
            "COPY (SELECT * EXCLUDE (cause, seq), epoch(date_trunc('hour', reserved_at))::BIGINT AS sealed FROM entered) "
            f"TO '{month.place / 'ledger'}' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (sealed), "
            f"OVERWRITE_OR_IGNORE, FILENAME_PATTERN '{numbers.start:09}-{{i}}')"
        )
        planted = planted_dollars(database, month.prices)
        return planted if month.clean else planted | rate_dollars(database, month.begin)


def make_truth(database: duckdb.DuckDBPyConnection, month: Month, numbers: range) -> None:
    """These rows of the generated month (`replica.providers month`), as the table `truth`."""
    database.execute(month_attempts.macro(month.seed))
    begins = days(month.name)
    query = month_attempts.query(
        first=numbers.start,
        last=numbers.stop,
        attempts=month.attempts,
        seed=month.seed,
        start=month.begin,
        seconds=begins[-1] + DAY - month.begin,
    )
    database.execute(f"CREATE OR REPLACE TABLE truth AS {query}")


def lay_pages(month: Month, account: Account, day: int) -> None:
    """Of the day that begins at *day*; after all parts."""
    folder = month.place / "pages" / account.name / str(day)
    folder.mkdir(parents=True)
    with duckdb.connect(config={"threads": 1}) as database:
        rows = database.execute(
            f"SELECT * FROM read_parquet('{month.place / 'usage'}/*.parquet') "
            "WHERE account = ? AND minute >= ? AND minute < ? ORDER BY ALL",
            [account.name, day - _HOUR, day + DAY + _HOUR],
        ).fetchall()
    held = Held((Usage(*row) for row in rows), as_of=float("inf"))
    bills = Bills(held, month.prices, month.begin, clean=month.clean)
    for number, (report, body) in enumerate(bills.pages(account, day)):
        (folder / f"{number}-{report.replace('/', '-')}.json").write_bytes(body)
