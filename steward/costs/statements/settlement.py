"""From the cost reports of a month to what has to be paid: restatements, rounding, credits and tax.

    payable = cost reports + restated + rounding + credits + tax + unexplained

An invoice is held against the reports item by item. It tells neither days nor keys, and of searches their models; reports of
some providers do not tell at which context's rate a prompt is billed: items are compared by what both sides tell.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from steward.costs.causes import Cause
from steward.costs.cells import CLASSES, SEARCHES
from steward.costs.money import CENT, ZERO, exactly, less, shown, total
from steward.costs.results import Charge, DayResult, DayShare
from steward.costs.statements.invoices import Invoice, InvoiceLine


class Item(NamedTuple):
    """What an invoice and a cost report both tell apart."""

    project: str
    model: str
    tier: str
    item: str

    @classmethod
    def of(cls, line: InvoiceLine | Charge) -> Item:
        if line.item == CLASSES[SEARCHES]:
            return cls(line.project, "", "", line.item)
        return cls(line.project, line.model, line.tier, line.item)

    def __str__(self) -> str:
        return ", ".join(each for each in self if each)


class Settled(NamedTuple):
    """What lies between the cost reports and the payable amount."""

    shares: tuple[DayShare, ...]
    unexplained: tuple[tuple[Item, Decimal], ...]
    """Items whose lines on the invoice no reading of the reports came to."""


def settle(invoice: Invoice, results: Sequence[DayResult], earlier: Iterable[DayResult]) -> Settled:
    """*results*: the month's days, as they count. *earlier*: other readings of them, which may be the invoice's."""
    invoiced, reported = _invoiced(invoice), _by_item(results)
    bounds = _moved(results, earlier)
    shares, unexplained = list[DayShare](), list[tuple[Item, Decimal]]()
    for item in sorted(invoiced.keys() | reported.keys()):
        lines = invoiced.get(item, [])
        difference = less(total(line.amount for line in lines), reported.get(item, ZERO))
        found = _explained(item, difference, len(lines), bounds.get(item, (ZERO, ZERO)))
        shares += found
        if rest := less(difference, *(share.amount for share in found)):
            unexplained.append((item, rest))
    return Settled((*shares, *_below_the_line(invoice)), tuple(unexplained))


def _explained(item: Item, difference: Decimal, lines: int, moved: tuple[Decimal, Decimal]) -> list[DayShare]:
    """What is no rounding must have been stated so by a reading; else it is nobody's guess."""
    # Without a line nothing was rounded to it, but away: an item of less than half a cent is on no invoice.
    rounding = CENT / 2 * max(lines, 1)
    restated = _restated(difference, rounding, moved)
    rounded = less(difference, restated)
    shares = list[DayShare]()
    if restated:
        evidence = f"stated at {shown(abs(restated))} {'less' if restated > 0 else 'more'} since the invoice was made"
        shares.append(_share(Cause.RESTATED, item, restated, evidence))
    if rounded and abs(rounded) <= rounding:
        evidence = f"at most half a cent for each of {max(lines, 1)} line{'s' if lines > 1 else ''}"
        shares.append(_share(Cause.ROUNDING, item, rounded, evidence))
    elif rounded:
        # A part that is known to have moved says little where the rest says otherwise.
        return []
    return shares


def _restated(difference: Decimal, rounding: Decimal, moved: tuple[Decimal, Decimal]) -> Decimal:
    """By what a reading said, where that is within rounding; else by as much as the invoice is between two readings."""
    told = (ZERO, *moved)
    alike = next((each for each in told if abs(less(difference, each)) <= rounding), None)
    return min(max(difference, moved[0]), moved[1]) if alike is None else alike


def _moved(results: Sequence[DayResult], earlier: Iterable[DayResult]) -> dict[Item, tuple[Decimal, Decimal]]:
    """How much less, and how much more, than what counts an item came to by the days' other readings in all."""
    counted = {result.day: _by_item([result]) for result in results}
    others = defaultdict[dt.date, list[Mapping[Item, Decimal]]](list)
    for each in earlier:
        others[each.day].append(_by_item([each]))
    bounds = defaultdict[Item, list[Decimal]](lambda: [ZERO, ZERO])
    for day, readings in others.items():
        now = counted[day]
        for item in {item for reading in readings for item in reading} | now.keys():
            by = [less(reading.get(item, ZERO), now.get(item, ZERO)) for reading in readings]
            low, high = bounds[item]
            bounds[item] = [total((low, min(*by, ZERO))), total((high, max(*by, ZERO)))]
    return {item: (low, high) for item, (low, high) in bounds.items()}


def _below_the_line(invoice: Invoice) -> list[DayShare]:
    nothing = Item("", "", "", "")
    shares = list[DayShare]()
    if invoice.credit:
        granted = "; ".join(invoice.credits)
        shares.append(_share(Cause.CREDIT, nothing, invoice.credit, f"invoice {invoice.number}: {granted}"))
    if invoice.tax:
        shares.append(_share(Cause.TAX, nothing, invoice.tax, f"invoice {invoice.number}"))
    return shares


def _invoiced(invoice: Invoice) -> dict[Item, list[InvoiceLine]]:
    found = defaultdict[Item, list[InvoiceLine]](list)
    for line in invoice.lines:
        found[Item.of(line)].append(line)
    return found


def _by_item(results: Iterable[DayResult]) -> dict[Item, Decimal]:
    sums = defaultdict[Item, Decimal](Decimal)
    with exactly():
        for charge in (charge for result in results for charge in result.charges):
            sums[Item.of(charge)] += charge.amount
    return sums


def _share(cause: Cause, item: Item, amount: Decimal, evidence: str) -> DayShare:
    return DayShare(
        cause=cause,
        project=item.project,
        key="",
        model=item.model,
        tier=item.tier,
        context="",
        item=item.item,
        quantity=0,
        amount=amount,
        evidence=evidence,
        hour=None,
        agreed=cause in {Cause.CREDIT, Cause.TAX},
    )
