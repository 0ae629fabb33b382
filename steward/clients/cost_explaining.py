"""A reading of a day explained: kept pages and sealed hours in, what the day came to out. The same in gives the same out."""

from __future__ import annotations

import datetime as dt
import gc
from collections.abc import Generator
from contextlib import contextmanager
from decimal import Decimal
from typing import NamedTuple

from steward.clients.cost_book import every_day, reading_named, readings_of, registered_keys
from steward.clients.cost_hours import open_sealed_day
from steward.clients.cost_pages import load_bill, load_result
from steward.clients.postgres import connect
from steward.clients.s3 import LockedBucket, open_evidence_bucket
from steward.costs.attribution.days import explain
from steward.costs.day_report import worth_by_tenant
from steward.costs.kept import CostDay, Reading, Register
from steward.costs.money import total
from steward.costs.pricing.prices import PriceBook, load_prices
from steward.costs.reports.reading import is_restated
from steward.costs.results import DayResult, Restated
from steward.costs.terms import load_terms
from steward.costs.values import Bill
from steward.settings import Settings


class Explained(NamedTuple):
    """What a reading came to."""

    result: DayResult
    tenants: dict[str, Decimal]
    """Dollars of the ledger at list prices."""


class Recomputed(NamedTuple):
    """A day that was explained once more."""

    day: CostDay
    differs: str
    """In what; empty: it came to the same, byte by byte."""


def explain_reading(
    settings: Settings, objects: LockedBucket, reading: Reading, register: Register, *, final: bool
) -> Explained:
    """Nothing is written. Raises PriceUnknown, PageUnusable, HourNotSealed and HourAltered."""
    with without_collections():
        return _explain_reading(settings, objects, reading, register, final=final)


@contextmanager
def without_collections() -> Generator[None]:
    """A busy day is a million tuples, none of them in a cycle: to look for cycles takes a fifth of its time, in vain."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _explain_reading(
    settings: Settings, objects: LockedBucket, reading: Reading, register: Register, *, final: bool
) -> Explained:
    book = load_prices(settings.reconciled.prices)
    bill = load_bill(objects, reading)
    terms = load_terms(settings.reconciled.terms, settings.providers)[reading.account].with_keys(register.key_ids)
    long = _long_contexts(book, reading.provider, {each.cell.model for each in bill.usage}, reading.day)
    with open_sealed_day(settings, reading.account, reading.day, register.by_fingerprint, long) as (ledger, hours):
        found = explain(bill, ledger, book, terms, final=final)
        tenants = worth_by_tenant(ledger.by_tenant(), reading.provider, book)
    result = DayResult.of(
        found,
        bill,
        reading=reading.reading,
        final=final,
        prices=book.version,
        hours=hours,
        restates=_restated(settings, objects, reading, bill),
    )
    return Explained(result, tenants)


def _restated(settings: Settings, objects: LockedBucket, reading: Reading, bill: Bill) -> Restated | None:
    """Against the reading before: a restatement is a fact of its own, whatever it comes to."""
    with connect(settings) as db:
        earlier = [each for each in readings_of(db, reading.account, reading.day) if each.read_at < reading.read_at]
    if not earlier:
        return None
    before = load_bill(objects, earlier[0])
    return (
        Restated(reading=earlier[0].reading, billed=total(each.amount for each in before.lines))
        if is_restated(before, bill)
        else None
    )


def recompute(settings: Settings, account: str, first: dt.date, last: dt.date) -> list[Recomputed]:
    """Every known day from its kept pages and sealed hours once more, held against what was stored of it."""
    with connect(settings) as db:
        days = [each for each in every_day(db, account, first, last) if each.result]
        register = Register(registered=tuple(registered_keys(db, account)))
    with open_evidence_bucket(settings) as objects:
        return [Recomputed(each, _difference(settings, objects, each, register)) for each in days]


def _difference(settings: Settings, objects: LockedBucket, day: CostDay, register: Register) -> str:
    with connect(settings) as db:
        reading = reading_named(db, day.account, day.day, day.reading)
    if reading is None or day.result is None:
        return "its pages are not there"
    stored = load_result(objects, day.result)
    known = DayResult.from_json(stored)
    again = explain_reading(settings, objects, reading, register, final=known.final).result
    if again.to_json() == stored:
        return ""
    names = [name for name in DayResult.model_fields if getattr(again, name) != getattr(known, name)]
    return f"other {', '.join(names)}"


def _long_contexts(book: PriceBook, provider: str, models: set[str], day: dt.date) -> dict[str, int]:
    told = {model: book.long_context_above(provider, model, on=day) for model in sorted(models)}
    return {model: above for model, above in told.items() if above}
