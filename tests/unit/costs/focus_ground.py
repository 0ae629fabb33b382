"""A month of an account for FOCUS: readings and an invoice typed by hand."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from steward.costs.cells import CLASSES, Cell
from steward.costs.focus.rows import BillingAccount, Invoiced
from steward.costs.statements.invoices import Invoice, InvoiceLine
from steward.costs.values import Bill, Line, Usage

ACCOUNT = BillingAccount(id="org-1", name="Platform", projects={"wrkspc_1": 'Search, "new"', "proj_1": "Chat"})
ISSUED = dt.datetime(2026, 11, 2, tzinfo=dt.UTC)
SONNET, LUNA = "claude-sonnet-5-5", "gpt-6-luna"
DAYS = [dt.date(2026, 10, 1) + dt.timedelta(days=number) for number in range(31)]


def read(days_after: int) -> dt.datetime:
    """Noon, so many days after the month."""
    return dt.datetime(2026, 10, 31, 12, tzinfo=dt.UTC) + dt.timedelta(days=days_after)


def line(item: str, amount: str, *, model: str = SONNET, quantity: int | None = None) -> Line:
    """Of the one project that each provider has."""
    anthropic = model.startswith("claude") or not model
    tier, context = ("standard", "base") if anthropic else ("default", "")
    if item not in CLASSES or item == "web_searches":
        model = tier = context = ""
    key = None if anthropic else "key_1"
    return Line("wrkspc_1" if anthropic else "proj_1", key, model, tier, context, item, quantity, Decimal(amount))


def used(day: dt.date, item: str, quantity: int, *, model: str = SONNET, at: dt.timedelta = dt.timedelta(hours=9)):
    begin = dt.datetime.combine(day, dt.time(), dt.UTC) + at
    of = ("wrkspc_1", "key_1", model, "standard", "base")
    if not model.startswith("claude"):
        of = ("proj_1", "key_1", model, "default", "")
    quantities = tuple(quantity if each == item else 0 for each in CLASSES)
    return Usage(Cell("main", int(begin.timestamp()), *of), quantities, None)


def bill(day: dt.date, lines=(), usage=(), *, after: int = 1, provider: str = "anthropic") -> Bill:
    return Bill("main", provider, day, tuple(usage), tuple(lines), read(after))


def month(*bills: Bill, provider: str = "anthropic") -> list[Bill]:
    """*bills*, and a reading without a line of each other day."""
    there = {each.day for each in bills}
    return [*bills, *(bill(day, provider=provider) for day in DAYS if day not in there)]


#: 1,234 and 7,000,000 tokens of input at $2 a million, 5,678 of output at $10.
SOME = (
    bill(
        DAYS[2],
        [line("input_uncached", "0.002468"), line("output", "0.05678")],
        [used(DAYS[2], "input_uncached", 1_234), used(DAYS[2], "output", 5_678)],
    ),
    bill(DAYS[3], [line("input_uncached", "14")], [used(DAYS[3], "input_uncached", 7_000_000)]),
)


def invoiced(**changes: object) -> Invoiced:
    """$14.06 of lines, less a credit of $4.06, and 19 % of tax: $11.90."""
    figures = {"input_uncached": "14.00", "output": "0.06"}
    members = {
        "account": "main",
        "provider": "anthropic",
        "month": "2026-10",
        "number": "INV-1",
        "lines": tuple(
            InvoiceLine(
                project="wrkspc_1",
                model=SONNET,
                tier="standard",
                context="base",
                item=item,
                quantity=1,
                amount=Decimal(amount),
            )
            for item, amount in figures.items()
        ),
        "subtotal": Decimal("14.06"),
        "credits": ("Promotional credit",),
        "credit": Decimal("-4.06"),
        "tax": Decimal("1.90"),
        "payable": Decimal("11.90"),
    }
    return Invoiced(Invoice(**{**members, **changes}), ISSUED)
