"""The lines of a bill with what each was metered at: quantities, units and prices, as columns of FOCUS."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from typing import NamedTuple, Protocol

from steward.costs.cells import CLASSES, DAY, SEARCHES, Cell
from steward.costs.errors import PriceUnknown
from steward.costs.focus.columns import SCALE, Value
from steward.costs.values import Bill, Line

_UNIT = Decimal(1).scaleb(-SCALE)
_ONE = Decimal(1)
#: Digits of a product of two columns.
_DIGITS = 80
#: Of how much a whole number of tokens may be off when an amount is divided by a price: reports of costs are rounded.
_NEAR = Decimal("0.001")
_METERS = {
    "input_uncached": "Input Tokens",
    "input_cached": "Cached Input Tokens",
    "cache_write": "Cache Write Tokens",
    "cache_write_5m": "5 Minute Cache Write Tokens",
    "cache_write_1h": "1 Hour Cache Write Tokens",
    "output": "Output Tokens",
    "web_searches": "Web Searches",
}


class Prices(Protocol):
    """A book of list prices."""

    def rate(self, provider: str, cell: Cell, item: str) -> Decimal:
        """Dollars for one. Raises PriceUnknown."""
        ...


class _Unit(NamedTuple):
    """In what a thing is counted, and how many of it have a price."""

    name: str
    many: int

    @property
    def pricing(self) -> str:
        return f"{self.many} {self.name}" if self.many > 1 else self.name


@dataclass(frozen=True, slots=True)
class Metered:
    """A line, or what a later reading has more or less of it. Money is of `SCALE` digits."""

    line: Line
    quantity: Decimal
    amount: Decimal
    price: Decimal
    """Dollars for one, as listed."""
    contracted: Decimal
    """Dollars for one, as agreed."""

    @property
    def name(self) -> tuple[str, ...]:
        line = self.line
        return line.project, line.key or "", line.model, line.tier, line.context, line.item

    def less(self, other: Metered | None) -> Metered:
        """What it has over *other*."""
        if other is None:
            return self
        return replace(self, quantity=self.quantity - other.quantity, amount=self.amount - other.amount)

    def taken_back(self) -> Metered:
        return replace(self, quantity=-self.quantity, amount=-self.amount)

    def columns(self) -> dict[str, Value]:
        """What it is, how much of it, and at which price."""
        unit = _unit(self.line.item)
        with localcontext() as context:
            context.prec = _DIGITS
            quantity = self.quantity / unit.many
            list_price, contracted = (self.price * unit.many, self.contracted * unit.many)
            return {
                **_sku(self.line),
                "ChargeDescription": f"{_told(self.line)} at ${list_price.normalize():f} for {unit.pricing}",
                "PricingQuantity": _rounded(quantity),
                "PricingUnit": unit.pricing,
                "ConsumedQuantity": _rounded(self.quantity),
                "ConsumedUnit": unit.name,
                "ListUnitPrice": _rounded(list_price),
                "ContractedUnitPrice": _rounded(contracted),
                "ListCost": _rounded(list_price * quantity),
                "ContractedCost": _rounded(contracted * quantity),
            }


def metered(bill: Bill, prices: Prices, discount: Decimal) -> Iterator[Metered]:
    """Each line of the day, once. Raises PriceUnknown for tokens and searches without a price."""
    meter = _Meter(bill, prices, 1 - discount)
    usage = _usage(bill, tells_keys=any(line.key is not None for line in bill.lines))
    for line in _merged(bill.lines):
        if line.item in CLASSES:
            yield from meter.charges(line, usage.get(_name(line), []))
        else:
            yield _other(line)


@dataclass(frozen=True, slots=True)
class _Meter:
    bill: Bill
    prices: Prices
    share: Decimal
    """Of list prices, that is billed."""

    def charges(self, line: Line, usage: Sequence[tuple[Cell, int]]) -> Iterator[Metered]:
        """In two where the report does not tell long prompts apart, and the amount says how many tokens were of such."""
        cell = min((cell for cell, _ in usage), default=_cell(self.bill, line))
        price = self.prices.rate(self.bill.provider, cell, line.item)
        quantity = _quantity(line, sum(quantity for _, quantity in usage), price * self.share)
        longer = price if line.context else self._long_price(cell, line.item, price)
        if longer == price:
            yield self._charge(line, quantity, line.amount, price)
            return
        many = _long_tokens(quantity, line.amount, price * self.share, longer * self.share)
        # Where all of them are long, the digits that a report has lost are theirs too.
        amount = line.amount if many and many == quantity else _rounded(many * longer * self.share)
        if many:
            yield self._charge(replace(line, context="long"), many, amount, longer)
        if not many or many < quantity:
            yield self._charge(replace(line, context="base"), quantity - many, line.amount - amount, price)

    def _charge(self, line: Line, quantity: Decimal, amount: Decimal, price: Decimal) -> Metered:
        return Metered(line, quantity, _rounded(amount), price, price * self.share)

    def _long_price(self, cell: Cell, item: str, price: Decimal) -> Decimal:
        try:
            return self.prices.rate(self.bill.provider, cell._replace(context="long"), item)
        except PriceUnknown:
            # Nobody says that it is sold; then none of these tokens are of long prompts.
            return price


def _long_tokens(quantity: Decimal, amount: Decimal, price: Decimal, longer: Decimal) -> Decimal:
    if longer == price:
        return Decimal(0)
    tokens = (amount - quantity * price) / (longer - price)
    whole = tokens.to_integral_value()
    return whole if 0 < whole <= quantity and abs(tokens - whole) <= _NEAR else Decimal(0)


def _quantity(line: Line, used: int, price: Decimal) -> Decimal:
    """As the line or the usage reports have it; of neither, as much as the amount pays for."""
    if line.quantity is not None:
        return Decimal(line.quantity)
    return Decimal(used) if used or not price else _rounded(line.amount / price)


def _other(line: Line) -> Metered:
    """Something that no list prices by the unit: one of it, at what it came to."""
    amount = _rounded(line.amount)
    return Metered(line, _ONE.copy_sign(amount), amount, abs(amount), abs(amount))


def _usage(bill: Bill, *, tells_keys: bool) -> Mapping[tuple[str, ...], list[tuple[Cell, int]]]:
    """Of the day's own hours, by the names that its lines have."""
    begin = int(dt.datetime.combine(bill.day, dt.time(), dt.UTC).timestamp())
    found = defaultdict[tuple[str, ...], list[tuple[Cell, int]]](list)
    for usage in bill.usage:
        if usage.cell.hour in range(begin, begin + DAY):
            for item, quantity in zip(CLASSES, usage.quantities, strict=True):
                if quantity:
                    found[_usage_name(usage.cell, item, tells_keys=tells_keys)].append((usage.cell, quantity))
    return found


def _usage_name(cell: Cell, item: str, *, tells_keys: bool) -> tuple[str, ...]:
    key = cell.key if tells_keys else ""
    if item == CLASSES[SEARCHES]:
        # One price for all models: their lines do not tell them apart.
        return cell.project, key, "", "", "", item
    return cell.project, key, cell.model, cell.tier, cell.context, item


def _name(line: Line) -> tuple[str, ...]:
    return line.project, line.key or "", line.model, line.tier, line.context, line.item


def _cell(bill: Bill, line: Line) -> Cell:
    """Of a line that no usage is for."""
    begin = int(dt.datetime.combine(bill.day, dt.time(), dt.UTC).timestamp())
    return Cell(bill.account, begin, line.project, line.key or "", line.model, line.tier, line.context)


def _merged(lines: Iterable[Line]) -> Iterator[Line]:
    found: dict[tuple[str, ...], Line] = {}
    for line in lines:
        before = found.get(_name(line))
        if before is None:
            found[_name(line)] = line
            continue
        known = before.quantity is not None and line.quantity is not None
        quantity = (before.quantity or 0) + (line.quantity or 0) if known else None
        found[_name(line)] = replace(line, quantity=quantity, amount=before.amount + line.amount)
    yield from found.values()


def _unit(item: str) -> _Unit:
    if item not in CLASSES:
        return _Unit("Units", 1)
    return _Unit("Searches", 1_000) if item == CLASSES[SEARCHES] else _Unit("Tokens", 1_000_000)


def _sku(line: Line) -> dict[str, Value]:
    """Neither provider names its SKUs: they are named by what the price lists tell apart."""
    details = {"x_Model": line.model, "x_ServiceTier": line.tier, "x_ContextSize": line.context, "x_Item": line.item}
    told = {name: value for name, value in details.items() if value}
    return {
        "SkuId": "/".join(each for each in (line.model, line.item) if each),
        "SkuMeter": _METERS.get(line.item, line.item),
        "SkuPriceId": "/".join(each for each in (line.model, line.item, line.tier, line.context) if each),
        "SkuPriceDetails": json.dumps(told, sort_keys=True, ensure_ascii=False),
    }


def _told(line: Line) -> str:
    size = {"long": "long prompts", "base": "short prompts"}.get(line.context, "")
    named = (line.model, _METERS.get(line.item, line.item), f"tier {line.tier}" if line.tier else "", size)
    return ", ".join(each for each in named if each)


def _rounded(number: Decimal) -> Decimal:
    with localcontext() as context:
        context.prec = _DIGITS
        return number.quantize(_UNIT)
