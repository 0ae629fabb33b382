"""A day of an account: every difference between the bill and the ledger with its cause, and what is left without one.

    billed - ledger = ΔQ·P + Q·ΔP + lines of other items + unexplained

ΔQ is priced at list prices (P), hour by hour; ΔP is what the day's lines have over the billed usage (Q) at list prices.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from typing import Protocol

from steward.costs.causes import Cause, Share
from steward.costs.cells import CLASSES, DAY, SEARCHES, Cell, Quantities
from steward.costs.expected import Expected
from steward.costs.money import less, total
from steward.costs.quantities import explain_quantities
from steward.costs.rates import explain_rates
from steward.costs.sides import by_hour, fold
from steward.costs.values import Bill, Entered, LedgerDay, Line, Terms

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
        rest = explain_quantities(bill, ledger, terms, final=final)
        shares = [
            _share(moved.cause, moved.cell, item, quantity, book.rate(bill.provider, moved.cell, item), moved.evidence)
            for moved in rest.moved
            if moved.cell.hour in hours
            for item, quantity in zip(CLASSES, moved.quantities, strict=True)
            if quantity
        ]
        expected = list(_expected(bill, entered, hours, book))
        shares += explain_rates(expected, terms, final=final)
        return Day(
            account=bill.account,
            day=bill.day,
            ledger=worth,
            billed=total(line.amount for line in bill.lines),
            shares=tuple(shares),
            left=tuple((cell, rest[cell]) for cell in rest if cell.hour in hours),
            bound=total(each.slack for each in expected),
        )


def _worth(book: Book, provider: str, cell: Cell, quantities: Quantities) -> Decimal:
    return sum(
        (
            quantity * book.rate(provider, cell, item)
            for item, quantity in zip(CLASSES, quantities, strict=True)
            if quantity
        ),
        Decimal(0),
    )


def _share(cause: Cause, cell: Cell, item: str, quantity: int, rate: Decimal, evidence: str) -> Share:
    _, hour, *names = cell
    return Share(cause, *names, item, quantity, quantity * rate, evidence, hour)


def _expected(bill: Bill, entered: Iterable[Entered], hours: range, book: Book) -> Iterator[Expected]:
    """Each line beside the usage it is for; and usage that no line is for."""
    tells_keys = any(line.key is not None for line in bill.lines)
    tells_context = any(usage.cell.context for usage in bill.usage)
    long = {} if tells_context else _long(entered)
    sums = defaultdict[tuple[str, ...], list[tuple[Cell, int]]](list)
    for usage in by_hour(bill.usage).values():
        if usage.cell.hour not in hours:
            continue
        for item, quantity in zip(CLASSES, usage.quantities, strict=True):
            if quantity:
                sums[_name(usage.cell, item, tells_keys=tells_keys)].append((usage.cell, quantity))
    lines, parts = {_name_of(line): line for line in _merged(bill.lines)}, Counter(map(_name_of, bill.lines))
    for name in sorted(lines.keys() | sums.keys()):
        cells = sums.get(name, [])
        line = lines.get(name) or _no_line(name, tells_keys=tells_keys)
        found = _priced(line, cells, long, bill.provider, book)
        # Of a line that tells its context, the usage does so too; what came to nothing may have no line at all.
        yield replace(found, long_rate=None if tells_context else found.long_rate, parts=parts[name] or 1)


def _priced(
    line: Line, cells: list[tuple[Cell, int]], long: Mapping[tuple[Cell, str], int], provider: str, book: Book
) -> Expected:
    if not cells:
        return Expected(line, 0, Decimal(0), Decimal(0))
    amount, long_rate = Decimal(0), None
    for cell, quantity in cells:
        rate = book.rate(provider, cell, line.item)
        amount += quantity * rate
        if longer := long.get((cell, line.item)):
            # The report does not tell: as many as the ledger has are billed at the rate of long prompts.
            at_long = book.rate(provider, cell._replace(context="long"), line.item)
            amount += max(0, min(longer, quantity)) * (at_long - rate)
    first = min(cell for cell, _ in cells)
    if first.context != "long":
        long_rate = book.rate(provider, first._replace(context="long"), line.item)
    return Expected(
        line,
        sum(quantity for _, quantity in cells),
        amount,
        book.rate(provider, first, line.item),
        long_rate,
        book.other_rates(provider, first, line.item),
    )


def _long(entered: Iterable[Entered]) -> dict[tuple[Cell, str], int]:
    """By folded cell and class: what the ledger has at the rate of long prompts."""
    found = defaultdict[tuple[Cell, str], int](int)
    for each in entered:
        if each.cell.context == "long":
            for item, quantity in zip(CLASSES, each.quantities, strict=True):
                found[fold(each.cell), item] += quantity
    return found


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
