"""A month without HTTP is the same every time, and its last bills equal its attempts, priced by one query more."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from replica.providers import month
from replica.providers.month_attempts import ANTHROPIC, OPENAI

ATTEMPTS = 20_000
# Typed in again: dollars a million tokens, by model, tier and long context, from a day on.
PRICES = """
    CREATE TABLE prices AS SELECT * FROM (VALUES
        ('gpt-6-luna', 'default', false, '2026-10-01', 0.10, 0.01, 0, 0, 0.125, 0.50),
        ('gpt-6-luna', 'flex', false, '2026-10-01', 0.05, 0.005, 0, 0, 0.0625, 0.25),
        ('gpt-6-luna', 'priority', false, '2026-10-01', 0.20, 0.02, 0, 0, 0.25, 1.00),
        ('gpt-6.1-sol', 'default', false, '2026-10-01', 2, 0.10, 0, 0, 2.5, 10),
        ('gpt-6.1-sol', 'default', true, '2026-10-01', 4, 0.20, 0, 0, 5, 15),
        ('gpt-6.1-sol', 'flex', false, '2026-10-01', 1, 0.05, 0, 0, 1.25, 5),
        ('gpt-6.1-sol', 'priority', false, '2026-10-01', 4, 0.2, 0, 0, 5, 20),
        ('gpt-6-sol', 'default', false, '2026-10-01', 2, 0.20, 0, 0, 2.5, 10),
        ('gpt-6-sol', 'default', true, '2026-10-01', 4, 0.40, 0, 0, 5, 15),
        ('gpt-6-sol', 'flex', false, '2026-10-01', 1, 0.10, 0, 0, 1.25, 5),
        ('gpt-6-sol', 'priority', false, '2026-10-01', 4, 0.40, 0, 0, 5, 20),
        ('gpt-4.1-2025-04-14', 'default', false, '2026-10-01', 2, 0.5, 0, 0, 0, 8),
        ('gpt-4.1-2025-04-14', 'priority', false, '2026-10-01', 3.5, 0.875, 0, 0, 0, 14),
        ('gpt-4o-mini-2024-07-18', 'default', false, '2026-10-01', 0.15, 0.075, 0, 0, 0, 0.6),
        ('gpt-4o-mini-2024-07-18', 'priority', false, '2026-10-01', 0.25, 0.125, 0, 0, 0, 1),
        ('text-embedding-3-small', 'default', false, '2026-10-01', 0.02, 0, 0, 0, 0, 0),
        ('claude-opus-5-5', 'standard', false, '2026-10-01', 4, 0.2, 5, 8, 0, 20),
        ('claude-sonnet-5-5', 'standard', false, '2026-10-01', 2, 0.2, 2.5, 4, 0, 10),
        ('claude-sonnet-5-5', 'standard', false, '2026-10-07', 2, 0.1, 2.5, 4, 0, 10),
        ('claude-haiku-5-5', 'standard', false, '2026-10-01', 0.1, 0.01, 0.125, 0.2, 0, 0.5),
        ('claude-haiku-5-5', 'standard', true, '2026-10-01', 0.5, 0.05, 0.625, 1, 0, 2.5),
        ('claude-haiku-4-5-20251001', 'standard', false, '2026-10-01', 1, 0.1, 1.25, 2, 0, 5)
    ) p(model, tier, long_context, since, input, cached, w5m, w1h, w30m, output)
"""
OWED = """
    SELECT account, sum(input_uncached * input + cache_read * cached + cache_write_5m * w5m + cache_write_1h * w1h
        + cache_write_30m * w30m + a.output * p.output), sum(web_searches), count(*)
    FROM attempts a ASOF JOIN prices p
        ON a.model_served = p.model AND a.tier_served = p.tier AND a.long_context = p.long_context
        AND a.arrived_at >= p.since::TIMESTAMP
    WHERE billed GROUP BY account
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("month")
    assert month.make(folder, "2026-10", ATTEMPTS, 5).startswith("20,000 attempts of 2026-10")
    return folder


def _pages(made: Path, account: str, days: int, report: str) -> list[dict]:
    files = sorted((made / "bills" / account / str(days)).glob(f"{report}-*.json"))
    return [json.loads(file.read_bytes(), parse_float=Decimal) for file in files]


def _billed(made: Path, account: str, days: int) -> Decimal:
    if account == OPENAI:
        pages = _pages(made, account, days, "costs")
        return sum(
            (result["amount"]["value"] for page in pages for bucket in page["data"] for result in bucket["results"]),
            Decimal(0),
        )
    pages = _pages(made, account, days, "cost_report")
    cents = (Decimal(result["amount"]) for page in pages for bucket in page["data"] for result in bucket["results"])
    return sum(cents, Decimal(0)) / 100


def test_the_last_bills_equal_the_attempts_to_the_last_digit(made: Path) -> None:
    with duckdb.connect() as database:
        database.read_parquet(f"{made}/attempts/*.parquet").create_view("attempts")
        database.execute(PRICES)
        owed = {account: sums for account, *sums in database.execute(OWED).fetchall()}
        (billed,) = database.execute("SELECT count(*) FROM attempts WHERE billed").fetchone() or (0,)
    # Each billed attempt found its price.
    assert sum(count for _, _, count in owed.values()) == billed
    for account in (OPENAI, ANTHROPIC):
        millionths, searches, _ = owed[account]
        assert millionths / 1_000_000 + searches * Decimal("0.01") == _billed(made, account, 35)


def test_earlier_bills_say_something_else(made: Path) -> None:
    for account in (OPENAI, ANTHROPIC):
        assert len({_billed(made, account, days) for days in month.DAYS_AFTER}) > 1


def test_an_invoice_is_within_half_a_cent_a_line_of_the_report(made: Path) -> None:
    for account in (OPENAI, ANTHROPIC):
        invoice = json.loads((made / "bills" / account / "35" / "invoice.json").read_bytes())
        difference = abs(Decimal(invoice["subtotal"]) - _billed(made, account, 35))
        assert difference <= Decimal("0.005") * len(invoice["lines"])


def test_pages_cover_the_month_day_by_day(made: Path) -> None:
    starts = [bucket["start_time"] for page in _pages(made, OPENAI, 1, "costs") for bucket in page["data"]]
    first = int(dt.datetime(2026, 10, 1, tzinfo=dt.UTC).timestamp())
    assert starts == [first + day * 86_400 for day in range(31)]
    assert [page["has_more"] for page in _pages(made, OPENAI, 1, "costs")] == [True] * 4 + [False]


def test_the_same_seed_makes_the_same_files_in_pieces_of_any_size(tmp_path: Path, monkeypatch) -> None:
    def bills(name: str, seed: int) -> dict[str, str]:
        month.make(tmp_path / name, "2026-10", 2000, seed)
        files = json.loads((tmp_path / name / "manifest.json").read_text())["files"]
        return {file: digest for file, digest in files.items() if not file.startswith("attempts/")}

    first, other = bills("first", 5), bills("other", 6)
    monkeypatch.setattr(month, "_CHUNK", 700)
    assert bills("again", 5) == first
    assert other["bills/openai-main/1/costs-001.json"] != first["bills/openai-main/1/costs-001.json"]


def test_attempts_are_what_a_twin_would_have_kept(made: Path) -> None:
    with duckdb.connect() as database:
        database.read_parquet(f"{made}/attempts/*.parquet").create_view("attempts")
        row = database.execute("""
            SELECT count(*), count(DISTINCT client_request_id), bool_and(arrived_at >= '2026-10-01' AND arrived_at < '2026-11-01'),
                bool_and(least(input_uncached, cache_read, cache_write_5m, cache_write_1h, cache_write_30m, output) >= 0),
                bool_and(billed OR input_uncached + output = 0), bool_and(reasoning <= output),
                count(DISTINCT outcome), sum((tier_asked = 'flex' AND tier_served = 'default')::INTEGER) > 0
            FROM attempts
        """).fetchone()
    assert row == (ATTEMPTS, ATTEMPTS, True, True, True, True, 7, True)
