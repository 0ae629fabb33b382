"""A month as the twins bill it: their invoice is made by other code, at other prices' table, and adds up all the same."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest

from replica.providers.month import make
from steward.costs.cells import DAY
from steward.costs.focus.rows import BillingAccount, Invoiced, focus_rows
from steward.costs.focus.rules import check_focus
from steward.costs.pricing.prices import load_prices
from steward.costs.reports import anthropic_reports, openai_reports
from steward.costs.reports.buckets import read_page
from steward.costs.statements.invoices import read_invoice
from steward.costs.values import Bill

#: Of this seed both accounts have something stated late or twice after the invoice.
MONTH, ATTEMPTS, SEED = "2026-10", 8_000, 12
BEGIN = int(dt.datetime(2026, 10, 1, tzinfo=dt.UTC).timestamp())
END = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
OWN = Path(__file__).parents[3] / "deployments" / "costs" / "prices.toml"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("month")
    make(folder, MONTH, ATTEMPTS, SEED)
    return folder


def by_day(folder: Path, report: str) -> dict[int, list[dict]]:
    """The buckets of a report, by the beginnings of their days."""
    found = defaultdict(list)
    for file in sorted(folder.glob(f"{report}-*.json")):
        for bucket in read_page(file.read_bytes(), report)["data"]:
            told = bucket.get("start_time") or dt.datetime.fromisoformat(bucket["starting_at"]).timestamp()
            found[int(told)].append(bucket)
    return found


def bills(folder: Path, account: str, after: int) -> list[Bill]:
    """Of each day, as it was read so many days after the month."""
    place, provider = folder / "bills" / account / str(after), account.partition("-")[0]
    reports = {each.name.rpartition("-")[0] for each in place.glob("*-*.json")}
    told = {report: by_day(place, report) for report in reports}
    return [
        _bill(told, account, provider, BEGIN + number * DAY, END + dt.timedelta(days=after)) for number in range(31)
    ]


def _bill(told, account, provider, day, read_at) -> Bill:
    pages = {report: [{"data": buckets[day], "has_more": False}] for report, buckets in told.items()}
    if provider == "openai":
        names = {"completions": openai_reports.COMPLETIONS, "embeddings": openai_reports.EMBEDDINGS}
        usage = [use for name, of in names.items() for use in openai_reports.usage(account, of, pages[name], [day])]
        lines = openai_reports.lines(pages["costs"], day)
    else:
        usage = list(anthropic_reports.usage(account, pages["usage_report"], [day]))
        lines = anthropic_reports.lines(pages["cost_report"], day)
    date = dt.datetime.fromtimestamp(day, dt.UTC).date()
    return Bill(account, provider, date, tuple(usage), tuple(lines), read_at)


@pytest.mark.parametrize("account", ["openai-main", "anthropic-main"])
def test_rows_of_a_twin_s_month_add_up_to_its_invoice(made, account) -> None:
    body = (made / "bills" / account / "1" / "invoice.json").read_bytes()
    invoice = read_invoice(body, account=account, provider=account.partition("-")[0], month=MONTH)
    readings = {after: bills(made, account, after) for after in (1, 35)}
    rows = focus_rows(
        BillingAccount(account, account),
        [*readings[1], *readings[35]],
        load_prices(OWN),
        Invoiced(invoice, END + dt.timedelta(days=1)),
    )
    assert check_focus(rows, {invoice.number: Decimal(json.loads(body)["total"])}) == []
    adjustments = [row["ChargeDescription"] for row in rows if row["ChargeCategory"] == "Adjustment"]
    assert {told.rpartition(": ")[2] for told in adjustments} == {"rounding to cents"}
    usage = [row for row in rows if row["ChargeCategory"] == "Usage"]
    # Billed at list prices: of price changes, tiers and long prompts nothing is left over.
    assert [row for row in usage if row["ListCost"] != row["BilledCost"]] == []
    corrections = [row for row in usage if row["ChargeClass"]]
    assert {row["InvoiceId"] for row in corrections} == {None}
    for after, stated in ((1, [row for row in usage if not row["ChargeClass"]]), (35, usage)):
        told = sum(each.amount for reading in readings[after] for each in reading.lines)
        assert sum(row["BilledCost"] for row in stated) == told
