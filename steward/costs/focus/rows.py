"""A provider's bill as rows of FOCUS 1.2: what was used, each restatement beside what it restates, credits, tax, rounding.

The rows of an invoice add up to what has to be paid for it, exactly. A later reading of a day never changes a row: it adds
rows of the differences, which are Corrections once the month was invoiced.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from steward.costs.focus.charges import Metered, Prices, metered
from steward.costs.focus.columns import (
    ADJUSTMENT,
    AI,
    CORRECTION,
    CREDIT,
    GENERATIVE_AI,
    TAX,
    USAGE,
    Row,
    Value,
    row_of,
)
from steward.costs.money import CENT, ZERO, exactly, less, total
from steward.costs.results import Charge
from steward.costs.statements.invoices import Invoice
from steward.costs.statements.settlement import Item
from steward.costs.values import Bill
from steward.errors import BadInput

_PROVIDERS = {"openai": ("OpenAI", "OpenAI API"), "anthropic": ("Anthropic", "Claude API")}


class FocusInvalid(BadInput):
    """Rows that would not be a FOCUS dataset, or not one of what was billed: none is written."""


@dataclass(frozen=True, slots=True)
class BillingAccount:
    """Whom a provider bills, and at which terms."""

    id: str
    """The provider's, of the organization."""
    name: str
    discount: Decimal = ZERO
    """Share of the list price that was agreed away."""
    projects: Mapping[str, str] = field(default_factory=dict[str, str])
    """Display names of projects, or workspaces; one that is not there is called by its id."""


@dataclass(frozen=True, slots=True)
class Invoiced:
    """The month's invoice, and when it was issued: what is read later corrects it."""

    invoice: Invoice
    at: dt.datetime


def focus_rows(
    account: BillingAccount, bills: Iterable[Bill], prices: Prices, invoiced: Invoiced | None = None
) -> list[Row]:
    """All readings of one provider's days. With *invoiced*: of all days of its month, and of no other.

    Raises PriceUnknown, and FocusInvalid for readings that are not those of the invoice.
    """
    readings = _readings(bills)
    if invoiced:
        _check_month(readings, invoiced)
    of = _Account(account, invoiced)
    rows, billed = list[Row](), defaultdict[Item, list[Decimal]](list)
    for stated in readings.values():
        for bill, charge in _changes(stated, prices, account.discount):
            row = of.usage(bill, charge)
            rows.append(row)
            if row["InvoiceId"] is not None:
                billed[_item(charge)].append(charge.amount)
    if invoiced:
        rows += of.below({item: total(amounts) for item, amounts in billed.items()}, rows)
    return rows


def _readings(bills: Iterable[Bill]) -> dict[dt.date, list[Bill]]:
    """By day, oldest first. Of one account."""
    found = defaultdict[dt.date, list[Bill]](list)
    account = ""
    for bill in sorted(bills, key=lambda each: (each.day, each.read_at)):
        if bill.account != (account := account or bill.account):
            raise FocusInvalid(f"{account} and {bill.account} are two accounts", hint="make the rows of each by itself")
        if found[bill.day] and found[bill.day][-1].read_at == bill.read_at:
            raise FocusInvalid(
                f"{bill.account} on {bill.day} is there twice as it was read at {bill.read_at}",
                hint="give each reading once: a second one would be counted as a restatement",
            )
        found[bill.day].append(bill)
    return found


def _check_month(readings: Mapping[dt.date, Sequence[Bill]], invoiced: Invoiced) -> None:
    invoice = invoiced.invoice
    subject = f"invoice {invoice.number} is of {invoice.account} in {invoice.month}"
    first = dt.date.fromisoformat(f"{invoice.month}-01")
    days = {day for number in range(31) if (day := first + dt.timedelta(days=number)).month == first.month}
    if beyond := sorted(bill.day for stated in readings.values() for bill in stated if not _is_of(bill, invoice, days)):
        raise FocusInvalid(
            f"{subject}, and a reading of {beyond[0]} is not", hint="give the readings of its month alone"
        )
    if missing := sorted(day for day in days if day not in readings or readings[day][0].read_at > invoiced.at):
        raise FocusInvalid(
            f"{subject}: no reading of {missing[0]} is as old as it",
            hint="give a reading of each day of the month from before the invoice was issued",
        )


def _is_of(bill: Bill, invoice: Invoice, days: Container[dt.date]) -> bool:
    return (bill.account, bill.provider) == (invoice.account, invoice.provider) and bill.day in days


def _changes(stated: Sequence[Bill], prices: Prices, discount: Decimal) -> Iterator[tuple[Bill, Metered]]:
    """The first reading's charges, then what each later one has more or less."""
    before: Mapping[tuple[str, ...], Metered] = {}
    for bill in stated:
        now = {charge.name: charge for charge in metered(bill, prices, discount)}
        for name in sorted(now.keys() | before.keys()):
            charge = now[name].less(before.get(name)) if name in now else before[name].taken_back()
            if charge.quantity or charge.amount:
                yield bill, charge
        before = now


def _item(charge: Metered) -> Item:
    return Item.of(Charge.of(charge.line))


@dataclass(frozen=True, slots=True)
class _Account:
    account: BillingAccount
    invoiced: Invoiced | None

    def usage(self, bill: Bill, charge: Metered) -> Row:
        """A row of usage, or of what a later reading has changed."""
        is_late = self.invoiced is not None and bill.read_at > self.invoiced.at
        day = dt.datetime.combine(bill.day, dt.time(), dt.UTC)
        return row_of(
            **self._who(bill.provider),
            # A correction belongs to the month in which it was stated; its invoice is not issued yet.
            **_month(bill.read_at.astimezone(dt.UTC) if is_late else day),
            InvoiceId=self.invoiced.invoice.number if self.invoiced and not is_late else None,
            ChargePeriodStart=day,
            ChargePeriodEnd=day + dt.timedelta(days=1),
            ChargeCategory=USAGE,
            ChargeClass=CORRECTION if is_late else None,
            ChargeFrequency="Usage-Based",
            PricingCategory="Standard",
            BilledCost=charge.amount,
            EffectiveCost=charge.amount,
            SubAccountId=charge.line.project or None,
            SubAccountName=self.account.projects.get(charge.line.project, charge.line.project) or None,
            x_ApiKeyId=charge.line.key or None,
            x_ReadAt=bill.read_at.astimezone(dt.UTC),
            **charge.columns(),
        )

    def below(self, billed: Mapping[Item, Decimal], usage: Sequence[Row]) -> list[Row]:
        """What an invoice has beside its usage: differences of its lines, credits, and tax on all of it."""
        assert self.invoiced  # noqa: S101  the caller's
        invoice, rows = self.invoiced.invoice, list[Row]()
        for item, amount, told in _differences(invoice, billed):
            rows.append(self._other(invoice, ADJUSTMENT, told, amount, item.project))
        if invoice.credit:
            rows.append(self._other(invoice, CREDIT, f"Credits: {'; '.join(invoice.credits)}", invoice.credit))
        if invoice.tax:
            taxed = [row for row in (*usage, *rows) if row["InvoiceId"] == invoice.number]
            rows.append(self._tax(invoice, taxed))
        return rows

    def _other(self, invoice: Invoice, category: str, told: str, amount: Decimal, project: str = "") -> Row:
        """Of no price: all its costs are the same."""
        costs = dict.fromkeys(("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"), amount)
        return row_of(
            **self._who(invoice.provider),
            **_month(dt.datetime.fromisoformat(f"{invoice.month}-01T00:00:00+00:00"), "Billing", "Charge"),
            **costs,
            InvoiceId=invoice.number,
            ChargeCategory=category,
            ChargeDescription=told,
            ChargeFrequency="One-Time",
            SubAccountId=project or None,
            SubAccountName=self.account.projects.get(project, project) or None,
        )

    def _tax(self, invoice: Invoice, taxed: Sequence[Row]) -> Row:
        """At list and contracted prices, so much of these as the tax is of what was billed."""
        row = self._other(invoice, TAX, f"Tax on invoice {invoice.number}", invoice.tax)
        due = total((invoice.subtotal, invoice.credit))
        shares = {name: _part(invoice.tax, _sum(taxed, name), due) for name in ("ListCost", "ContractedCost")}
        return {**row, **shares}

    def _who(self, provider: str) -> dict[str, Value]:
        name, service = _PROVIDERS[provider]
        return {
            "BillingAccountId": self.account.id,
            "BillingAccountName": self.account.name,
            "BillingCurrency": "USD",
            "ProviderName": name,
            "PublisherName": name,
            "InvoiceIssuerName": name,
            "ServiceCategory": AI,
            "ServiceSubcategory": GENERATIVE_AI,
            "ServiceName": service,
        }


def _month(moment: dt.datetime, *periods: str) -> dict[str, Value]:
    """The month that *moment* is in, as the period named; by default the billing one."""
    start = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = (start + dt.timedelta(days=31)).replace(day=1)
    return {
        f"{period}Period{bound}": value
        for period in periods or ("Billing",)
        for bound, value in (("Start", start), ("End", end))
    }


def _differences(invoice: Invoice, billed: Mapping[Item, Decimal]) -> Iterator[tuple[Item, Decimal, str]]:
    """What each item's lines on the invoice have over its usage, or under it."""
    lines = defaultdict[Item, list[Decimal]](list)
    for line in invoice.lines:
        lines[Item.of(line)].append(line.amount)
    for item in sorted(lines.keys() | billed.keys()):
        amount = less(total(lines[item]), billed.get(item, ZERO))
        # Where no line is, the item was rounded away.
        is_rounding = abs(amount) <= CENT / 2 * max(1, len(lines[item]))
        if amount:
            yield item, amount, f"{item}: {'rounding to cents' if is_rounding else 'invoiced other than reported'}"


def _sum(rows: Iterable[Row], name: str) -> Decimal:
    return total(cost for row in rows if isinstance(cost := row[name], Decimal))


def _part(tax: Decimal, cost: Decimal, due: Decimal) -> Decimal:
    if not due:
        return tax
    with exactly():
        worth = tax * cost
    return (worth / due).quantize(Decimal("1E-12"))
