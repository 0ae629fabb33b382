"""Statements of costs out of what was kept: days, readings, invoices; and their rows as FOCUS files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from steward.clients.cost_book import every_day, latest_days, readings_of
from steward.clients.cost_invoices import latest_invoice
from steward.clients.cost_pages import load_bill, load_result, store_locked
from steward.clients.focus_files import write_focus
from steward.clients.postgres import connect
from steward.clients.s3 import LockedBucket
from steward.clients.scratch import scratch_folder
from steward.costs.focus.columns import Row
from steward.costs.focus.rows import BillingAccount, Invoiced, focus_rows
from steward.costs.kept import CostDay, StoredObject, focus_key
from steward.costs.period import Period
from steward.costs.planning import CostPlan
from steward.costs.pricing.prices import load_prices
from steward.costs.results import DayResult, Gap
from steward.costs.statements.invoices import Invoice
from steward.costs.statements.statement import Statement, state
from steward.costs.terms import load_terms
from steward.costs.values import Bill
from steward.settings import Settings
from steward.verdicts import Verdict


class Material(NamedTuple):
    """What a statement is made of, as it was kept."""

    days: list[CostDay]
    """Those that count, none of them UNKNOWN."""
    results: list[DayResult]
    earlier: list[DayResult]
    """Other readings of the same days."""
    invoices: dict[str, tuple[Invoice, StoredObject]]
    gaps: list[Gap]

    @property
    def digests(self) -> dict[str, str]:
        """Of each day's result, by `ACCOUNT DAY READING`."""
        return {f"{each.account} {each.day} {each.reading}": each.result.sha256 for each in self.days if each.result}


def gather(
    settings: Settings, objects: LockedBucket, plan: CostPlan, period: Period, gaps: Collection[Gap]
) -> Material:
    """*gaps*: days that the run could not have; an earlier reading does not stand in for them."""
    lacking = {(gap.account, gap.day) for gap in gaps}
    with connect(settings) as db:
        latest = [
            each
            for account in plan.accounts
            for each in latest_days(db, period.first, period.last, account)
            if (each.account, each.day) not in lacking
        ]
        every = [each for account in plan.accounts for each in every_day(db, account, period.first, period.last)]
    days = [each for each in latest if each.verdict is not Verdict.UNKNOWN]
    counted = {(each.account, each.day, each.reading) for each in days}
    others = [
        each
        for each in every
        if each.verdict is not Verdict.UNKNOWN
        and (each.account, each.day, each.reading) not in counted
        and (each.account, each.day) not in lacking
    ]
    told = [Gap(account=each.account, day=each.day, reason=each.reason or "") for each in latest if each.reason]
    return Material(
        days=days,
        results=load_results(objects, days),
        earlier=load_results(objects, others) if plan.against_invoices else [],
        invoices=_invoices(objects, plan, period) if plan.against_invoices else {},
        gaps=[*(gap for gap in gaps if gap.day and period.first <= gap.day <= period.last), *told],
    )


def make_statement(plan: CostPlan, period: Period, material: Material) -> Statement:
    """Of all accounts of the run. Without any invoice of a month that is held against them, each of them is a gap."""
    gaps = list(material.gaps)
    if plan.against_invoices:
        gaps += [
            Gap(account=account, day=None, reason="no invoice was imported")
            for account in plan.accounts
            if account not in material.invoices
        ]
    invoices = [invoice for invoice, _ in material.invoices.values()]
    return state(period, plan.accounts, material.results, gaps=gaps, invoices=invoices, earlier=material.earlier)


def load_results(objects: LockedBucket, days: Iterable[CostDay]) -> list[DayResult]:
    """ObjectMissing; PageUnusable, ResultUnusable where one is not what was kept."""
    return [DayResult.from_json(load_result(objects, day.result)) for day in days if day.result]


def store_focus(
    settings: Settings, objects: LockedBucket, plan: CostPlan, period: Period, material: Material
) -> tuple[StoredObject, StoredObject]:
    """CSV and parquet of the period's bills, under Object Lock. FocusInvalid, before anything is stored."""
    rows, payable = list[Row](), dict[str, Decimal]()
    for account in plan.accounts:
        invoiced = material.invoices.get(account)
        rows += _rows(settings, objects, account, period.days, invoiced[0] if invoiced else None)
        if invoiced:
            payable[invoiced[0].number] = invoiced[0].payable
    with scratch_folder("focus") as folder:
        csv, parquet = folder / "focus.csv", folder / "focus.parquet"
        write_focus(rows, csv, parquet, payable)
        name = plan.subject
        return (
            _stored(settings, objects, name, period, csv),
            _stored(settings, objects, name, period, parquet),
        )


def _rows(
    settings: Settings, objects: LockedBucket, account: str, days: Sequence[date], invoice: Invoice | None
) -> list[Row]:
    with connect(settings) as db:
        readings = [reading for day in days for reading in readings_of(db, account, day)]
    bills = [load_bill(objects, reading) for reading in readings]
    terms = load_terms(settings.reconciled.terms, settings.providers)[account]
    of = BillingAccount(terms.organization or account, account, terms.discount)
    invoiced = Invoiced(invoice, _issued(bills)) if invoice else None
    return focus_rows(of, bills, load_prices(settings.reconciled.prices), invoiced)


def _issued(bills: Iterable[Bill]) -> datetime:
    """An invoice does not say when it was made: what each day's first reading stated is charged, what came later corrects it."""
    first: dict[date, datetime] = {}
    for bill in bills:
        first[bill.day] = min(bill.read_at, first.get(bill.day, bill.read_at))
    return max(first.values())


def _stored(settings: Settings, objects: LockedBucket, name: str, period: Period, file: Path) -> StoredObject:
    body = file.read_bytes()
    return store_locked(settings, objects, focus_key(name, period.first, period.last, file.suffix, body), body)


def _invoices(objects: LockedBucket, plan: CostPlan, period: Period) -> dict[str, tuple[Invoice, StoredObject]]:
    found = {
        account: latest_invoice(objects, account, provider, str(period)) for account, provider in plan.providers.items()
    }
    return {account: invoice for account, invoice in found.items() if invoice}
