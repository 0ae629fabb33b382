"""A day of an account: every difference between the bill and the ledger with its cause, and what is left without one.

    billed - ledger = ΔQ·P + Q·ΔP + lines of other items + unexplained

ΔQ is priced at list prices (P), hour by hour; ΔP is what the day's lines have over the billed usage (Q) at list prices.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from typing import Protocol

from steward.costs.attribution.expected import Expected
from steward.costs.attribution.long_prompts import LongPrompts, Part
from steward.costs.attribution.quantities import explain_quantities
from steward.costs.attribution.rates import explain_rates
from steward.costs.attribution.rest import Rest
from steward.costs.attribution.sides import at_hour, by_cell
from steward.costs.causes import Cause, Share
from steward.costs.cells import CLASSES, DAY, NOTHING, SEARCHES, Cell, Quantities, plus
from steward.costs.errors import PriceUnknown
from steward.costs.money import less, total
from steward.costs.values import Bill, LedgerDay, Line, Terms, Usage

#: Digits of intermediate figures: more than any sum of DECIMAL(38,12) needs.
_DIGITS = 50


class Book(Protocol):
    """List prices, with the moments from which they hold."""

    def rate(self, provider: str, cell: Cell, item: str) -> Decimal:
        """Dollars for one, in the cell's hour; the base one where its context is not told. Raises PriceUnknown."""
        ...

    def other_rates(self, provider: str, cell: Cell, item: str) -> tuple[tuple[str, Decimal], ...]:
        """Prices of the same thing at other times, and since when: the next before, the next after."""
        ...


@dataclass(frozen=True, slots=True)
class Day:
    """What a day came to. `ledger` and all shares add up to `billed`, exactly."""

    account: str
    day: dt.date
    ledger: Decimal
    """Dollars, at list prices."""
    billed: Decimal
    shares: tuple[Share, ...]
    """Without any that is UNEXPLAINED."""
    left: tuple[tuple[Cell, Quantities], ...]
    """Quantities without a cause."""
    bound: Decimal
    """What the rounding of the report's lines can come to."""

    @property
    def unexplained(self) -> Decimal:
        """By subtraction, exactly."""
        return less(self.billed, self.ledger, *(share.amount for share in self.shares))


def explain(bill: Bill, ledger: LedgerDay, book: Book, terms: Terms, *, final: bool) -> Day:
    """Raises PriceUnknown before anything is attributed."""
    with localcontext() as context:
        context.prec = _DIGITS
        begin = int(dt.datetime.combine(bill.day, dt.time(), dt.UTC).timestamp())
        hours = range(begin, begin + DAY)
        entered = [each for each in ledger.entered if each.cell.hour in hours]
        worth = sum((_worth(book, bill.provider, each.cell, each.quantities) for each in entered), Decimal(0))
        usage = by_cell(bill.usage)
        rest, compared, billed = explain_quantities(bill, usage, ledger, terms, final=final)
        long = LongPrompts(compared, billed)
        # First, for long prompts are where these have moved them.
        shares = list(
            _shares(bill.provider, [each for each in long.parts(rest.moved) if each.cell.hour in hours], book)
        )
        expected = list(_expected(bill, [each for each in usage.values() if each.cell.hour in hours], long, book))
        shares += explain_rates(expected, terms, final=final)
        return Day(
            account=bill.account,
            day=bill.day,
            ledger=worth,
            billed=total(line.amount for line in bill.lines),
            shares=tuple(shares),
            left=tuple(_left(rest, hours)),
            bound=total(each.slack for each in expected),
        )


def _left(rest: Rest, hours: range) -> Iterator[tuple[Cell, Quantities]]:
    """Hour by hour."""
    sums: dict[Cell, Quantities] = {}
    for cell in rest:
        if cell.hour in hours:
            sums[at_hour(cell)] = plus(sums.get(at_hour(cell), NOTHING), rest[cell])
    yield from ((cell, each) for cell, each in sums.items() if any(each))


def _worth(book: Book, provider: str, cell: Cell, quantities: Quantities) -> Decimal:
    return sum(
        (
            quantity * book.rate(provider, cell, item)
            for item, quantity in zip(CLASSES, quantities, strict=True)
            if quantity
        ),
        Decimal(0),
    )


def _shares(provider: str, parts: Iterable[Part], book: Book) -> Iterator[Share]:
    """By cause, hour and class: what comes and goes within an hour is none."""
    sums = defaultdict[tuple[Cause, Cell, str], list[Part]](list)
    for part in parts:
        sums[part.cause, at_hour(part.cell), part.item].append(part)
    for (cause, cell, item), found in sums.items():
        if quantity := sum(part.quantity for part in found):
            _, hour, project, key, model, tier, context = cell
            more = len({part.evidence for part in found}) - 1
            evidence = found[0].evidence + (f"; and {more:,} more" if more else "")
            amount = quantity * book.rate(provider, cell, item)
            yield Share(cause, project, key, model, tier, context, item, quantity, amount, evidence, hour)


def _expected(bill: Bill, day: Iterable[Usage], long: LongPrompts, book: Book) -> Iterator[Expected]:
    """Each line beside the usage it is for; and usage that no line is for."""
    tells_keys = any(line.key is not None for line in bill.lines)
    sums = defaultdict[tuple[str, ...], list[tuple[Cell, int]]](list)
    for usage in day:
        for item, quantity in zip(CLASSES, usage.quantities, strict=True):
            if quantity:
                sums[_name(usage.cell, item, tells_keys=tells_keys)].append((usage.cell, quantity))
    lines, parts = {_name_of(line): line for line in _merged(bill.lines)}, Counter(map(_name_of, bill.lines))
    for name in sorted(lines.keys() | sums.keys()):
        line = lines.get(name) or _no_line(name, tells_keys=tells_keys)
        found = Expected(line, 0, Decimal(0), Decimal(0))
        if cells := sums.get(name):
            found = _priced(line, cells, long, bill.provider, book)
        # What came to nothing may have no line at all.
        yield replace(found, parts=parts[name] or 1)


def _priced(line: Line, cells: list[tuple[Cell, int]], long: LongPrompts, provider: str, book: Book) -> Expected:
    amount, long_units = Decimal(0), 0
    for cell, quantity in cells:
        rate = book.rate(provider, cell, line.item)
        amount += quantity * rate
        if units := long.billed(cell, line.item):
            amount += units * (book.rate(provider, cell._replace(context="long"), line.item) - rate)
            long_units += units
    first = min(cell for cell, _ in cells)
    return Expected(
        line,
        sum(quantity for _, quantity in cells),
        amount,
        book.rate(provider, first, line.item),
        None if first.context else _known(book, provider, first._replace(context="long"), line.item),
        long_units,
        book.other_rates(provider, first, line.item),
        frozenset(_near_rates(book, provider, first, line.item)),
    )


def _near_rates(book: Book, provider: str, cell: Cell, item: str) -> Iterator[Decimal]:
    """Of the day before, and of the day after."""
    for hour in (cell.hour - DAY, cell.hour + DAY):
        if (rate := _known(book, provider, cell._replace(hour=hour), item)) is not None:
            yield rate


def _known(book: Book, provider: str, cell: Cell, item: str) -> Decimal | None:
    # Nothing was billed at it for sure: without this price there is one explanation less, and no error.
    try:
        return book.rate(provider, cell, item)
    except PriceUnknown:
        return None


def _name(cell: Cell, item: str, *, tells_keys: bool) -> tuple[str, ...]:
    if item == CLASSES[SEARCHES]:
        # One price for all models: their lines do not tell them apart.
        return cell.project, cell.key if tells_keys else "", "", "", "", item
    return cell.project, cell.key if tells_keys else "", cell.model, cell.tier, cell.context, item


def _name_of(line: Line) -> tuple[str, ...]:
    return line.project, line.key or "", line.model, line.tier, line.context, line.item


def _merged(lines: Iterable[Line]) -> Iterator[Line]:
    found: dict[tuple[str, ...], Line] = {}
    for line in lines:
        before = found.get(_name_of(line))
        found[_name_of(line)] = line if before is None else _added(before, line)
    yield from found.values()


def _added(one: Line, other: Line) -> Line:
    quantity = None if one.quantity is None or other.quantity is None else one.quantity + other.quantity
    return Line(one.project, one.key, one.model, one.tier, one.context, one.item, quantity, one.amount + other.amount)


def _no_line(name: tuple[str, ...], *, tells_keys: bool) -> Line:
    project, key, model, tier, context, item = name
    return Line(project, key if tells_keys else None, model, tier, context, item, 0, Decimal(0))
