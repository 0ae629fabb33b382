"""A day of an account, attempt by attempt: what the provider billed of it and what the ledger has, with prices typed by hand.

Nothing here is computed by what is tested: quantities are added up, and lines are multiplied out, in fractions.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import count

from steward.costs.attribution.days import Day, explain
from steward.costs.causes import Cause
from steward.costs.cells import CLASSES, HOUR, MINUTE, Cell
from steward.costs.errors import PriceUnknown
from steward.costs.values import Attempt, Bill, Entered, Line, Terms, Usage

TODAY = dt.date(2026, 11, 20)
MIDNIGHT = 1_795_132_800
GATEWAY = frozenset({"key_1", "key_2"})

#: Dollars a million tokens in the order of CLASSES; a million searches for the last.
_SEARCH = 10_000
OPENAI = {
    ("sol", "default", "base"): ("2", "0.2", "2.5", None, None, "10", _SEARCH),
    ("sol", "default", "long"): ("4", "0.4", "5", None, None, "15", _SEARCH),
    ("sol", "priority", "base"): ("4", "0.4", "5", None, None, "20", _SEARCH),
    ("sol", "priority", "long"): ("8", "0.8", "10", None, None, "30", _SEARCH),
    ("sol-2", "default", "base"): ("3", "0.3", "3.75", None, None, "12", _SEARCH),
    ("sol-2", "default", "long"): ("6", "0.6", "7.5", None, None, "18", _SEARCH),
    ("luna", "default", "base"): ("1", "0.0625", "1.25", None, None, "5", _SEARCH),
    ("luna", "default", "long"): ("1", "0.0625", "1.25", None, None, "5", _SEARCH),
    ("terra", "default", "base"): ("1.5", "0.15", None, None, None, "6", _SEARCH),
}
ANTHROPIC = {
    ("sonnet", "standard", "base"): ("3", "0.3", None, "3.75", "6", "15", _SEARCH),
    ("sonnet", "standard", "long"): ("6", "0.6", None, "7.5", "12", "22.5", _SEARCH),
    ("sonnet", "priority", "base"): ("3", "0.3", None, "3.75", "6", "15", _SEARCH),
    ("sonnet", "priority", "long"): ("6", "0.6", None, "7.5", "12", "22.5", _SEARCH),
    ("haiku", "standard", "base"): ("1", "0.1", None, "1.25", "2", "5", _SEARCH),
    ("haiku", "standard", "long"): ("1", "0.1", None, "1.25", "2", "5", _SEARCH),
}
_ORDINARY = {"openai": ("sol", "default"), "anthropic": ("sonnet", "standard")}
_SHORT = {
    "input": "input_uncached",
    "cached": "input_cached",
    "write": "cache_write",
    "write_5m": "cache_write_5m",
    "write_1h": "cache_write_1h",
    "output": "output",
    "searches": "web_searches",
}


def micro(dollars) -> Fraction:
    """Millionths of a dollar: so many tokens at one dollar a million."""
    return Fraction(str(dollars)) / 1_000_000


def exact(amount: Fraction) -> Decimal:
    """Of a fraction whose denominator is made of twos and fives."""
    with localcontext() as context:
        context.prec = 60
        found = Decimal(amount.numerator) / amount.denominator
    assert Fraction(found) == amount
    return found


def tokens(**named: int) -> tuple[int, ...]:
    return tuple(
        dict(zip(map(_SHORT.__getitem__, named), named.values(), strict=True)).get(name, 0) for name in CLASSES
    )


class Prices:
    """Of the tables above; *others*: prices of other times, by model and class, in dollars a million. Those to come hold then."""

    def __init__(self, others=None) -> None:
        self._others = others or {}

    def rate(self, provider: str, cell: Cell, item: str) -> Decimal:
        table = {"openai": OPENAI, "anthropic": ANTHROPIC}[provider]
        listed = table.get((cell.model, cell.tier, cell.context or "base"))
        if listed is None or listed[CLASSES.index(item)] is None:
            raise PriceUnknown(f"no price of {item} of {cell.model} at {cell.tier}", hint="type one")
        then = dt.datetime.fromtimestamp(cell.hour, dt.UTC).date().isoformat()
        coming = [rate for day, rate in self._others.get((cell.model, item), ()) if TODAY.isoformat() < day <= then]
        return Decimal((coming or [listed[CLASSES.index(item)]])[0]) / 1_000_000

    def other_rates(self, provider: str, cell: Cell, item: str) -> tuple[tuple[str, Decimal], ...]:
        self.rate(provider, cell, item)
        return tuple((day, Decimal(rate) / 1_000_000) for day, rate in self._others.get((cell.model, item), ()))


@dataclass
class _Row:
    cell: Cell
    at: float
    quantities: tuple[int, ...]
    attempt: str
    estimate: tuple[int, int, int, int] | None = None
    """Below and above: input, output; input, output."""
    reserved: tuple[int, int] | None = None
    """Of an attempt without an end."""


@dataclass
class Ground:
    """Both sides of the day; figures are tokens by the short names of `_SHORT`."""

    provider: str = "openai"
    prices: Prices = field(default_factory=Prices)
    terms: Terms = field(default_factory=lambda: Terms(gateway_keys=GATEWAY))
    final: bool = True
    account: str = "main"
    rounded_to: Fraction | None = None
    """Dollars to which the report rounds each line; None: it does not."""
    bucket: int = HOUR
    """Seconds by which the provider states usage."""

    def __post_init__(self) -> None:
        self.usage: Counter[tuple[Cell, str]] = Counter()
        self.requests: Counter[Cell] = Counter()
        self.rows: list[_Row] = []
        self.other_lines: list[Line] = []
        self.multipliers: dict[str, Fraction] = defaultdict(lambda: Fraction(1))
        self.repriced: dict[tuple[str, str], Fraction] = {}
        self.long_tokens: Counter[tuple[Cell, str]] = Counter()
        self._numbers = count()

    def cell(self, hour=10, *, project="p", key="key_1", model=None, tier=None, context="base") -> Cell:
        usual_model, usual_tier = _ORDINARY[self.provider]
        begin = MIDNIGHT + hour * 3600
        return Cell(self.account, begin, project, key, model or usual_model, tier or usual_tier, context)

    def both(self, *, minute=30.0, times=1, **named) -> None:
        """An attempt on which both sides agree."""
        self.billed(minute=minute, times=times, **named)
        for _ in range(times):
            self.entered(minute=minute, **named)

    def billed(self, *, minute=30.0, times=1, requests=1, **named) -> None:
        cell, quantities = self._read(named)
        told = self._as_told(cell._replace(hour=cell.hour + int(minute) * MINUTE))
        for item, quantity in zip(CLASSES, quantities, strict=True):
            self.usage[told, item] += quantity * times
            if cell.context == "long":
                self.long_tokens[told, item] += quantity * times
        self.requests[told] += requests * times

    def entered(self, *, minute=30.0, estimate=None, **named) -> None:
        cell, quantities = self._read(named)
        self.rows.append(_Row(cell, cell.hour + minute * 60, quantities, self._attempt(), estimate))

    def unknown(self, reserved: tuple[int, int], *, minute=30.0, **named) -> None:
        cell, quantities = self._read(named)
        assert not any(quantities)
        self.rows.append(_Row(cell, cell.hour + minute * 60, quantities, self._attempt(), reserved=reserved))

    def line(self, item: str, dollars: str, *, project="p", key="key_1", model="", tier="", context="", quantity=None):
        """Beside those of the usage."""
        told = key if self.provider == "openai" else None
        self.other_lines.append(Line(project, told, model, tier, context, item, quantity, Decimal(dollars)))

    def told(self, **named) -> Cell:
        """A cell as the bill has it."""
        return self._as_told(self.cell(**named))

    def _as_told(self, cell: Cell) -> Cell:
        return cell._replace(context="") if self.provider == "openai" else cell

    def _attempt(self) -> str:
        return f"attempt-{next(self._numbers)}"

    def _read(self, named) -> tuple[Cell, tuple[int, ...]]:
        counted = {name: named.pop(name) for name in list(named) if name in _SHORT}
        return self.cell(**named), tokens(**counted)

    def lines(self) -> list[Line]:
        sums: dict[tuple, list] = {}
        for (cell, item), quantity in self.usage.items():
            if quantity and MIDNIGHT <= cell.hour < MIDNIGHT + 86_400:
                name = self._name(cell, item)
                found = sums.setdefault(name, [0, Fraction(0)])
                found[0] += quantity
                found[1] += self._dollars(cell, item, quantity)
        lines = [
            Line(*name, quantity if self.provider == "openai" else None, exact(self._rounded(amount)))
            for name, (quantity, amount) in sums.items()
        ]
        return lines + self.other_lines

    def _name(self, cell: Cell, item: str) -> tuple:
        key = cell.key if self.provider == "openai" else None
        if item == "web_searches":
            return cell.project, key, "", "", "", item
        return cell.project, key, cell.model, cell.tier, cell.context, item

    def _dollars(self, cell: Cell, item: str, quantity: int) -> Fraction:
        table = OPENAI if self.provider == "openai" else ANTHROPIC
        at_long = self.long_tokens[cell, item]
        dollars = Fraction(0)
        contexts = ((cell.context, quantity),) if cell.context else (("base", quantity - at_long), ("long", at_long))
        for context, part in contexts:
            if not part:
                continue
            listed = Fraction(str(table[cell.model, cell.tier, context][CLASSES.index(item)]))
            dollars += part * self.repriced.get((cell.model, item), listed)
        return dollars * self.multipliers[cell.model] * self.multipliers[""] / 1_000_000

    def _rounded(self, amount: Fraction) -> Fraction:
        if self.rounded_to is None:
            return amount
        return Fraction((amount / self.rounded_to + Fraction(1, 2)).__floor__()) * self.rounded_to

    def bill(self, **instead) -> Bill:
        """*instead*: `usage` or `lines` that are to be otherwise."""
        sums: dict[Cell, Counter[str]] = defaultdict(Counter)
        for (cell, item), quantity in self.usage.items():
            sums[self._bucket(cell)][item] += quantity
        for cell, number in self.requests.items():
            sums[self._bucket(cell)]["requests"] += number
        usage = tuple(
            Usage(cell, tuple(found[item] for item in CLASSES), found["requests"] if self._counts else None)
            for cell, found in sums.items()
        )
        read_at = dt.datetime(2026, 11, 23, 6, tzinfo=dt.UTC)
        lines = instead["lines"] if "lines" in instead else self.lines()
        usage = instead.get("usage", usage)
        return Bill(self.account, self.provider, TODAY, tuple(usage), tuple(lines), read_at, bucket=self.bucket)

    @property
    def _counts(self) -> bool:
        return self.provider == "openai"

    def _bucket(self, cell: Cell) -> Cell:
        return cell._replace(hour=cell.hour // self.bucket * self.bucket)

    def day(self, bill=None, ledger=None) -> Day:
        return explain(bill or self.bill(), ledger or Ledger(self.rows), self.prices, self.terms, final=self.final)


class Ledger:
    """As `LedgerDay`: what the rows add up to, by cells of one width."""

    def __init__(self, rows: Sequence[_Row], width: int = HOUR) -> None:
        self._rows, self._width = rows, width
        by_cell: dict[Cell, list[_Row]] = defaultdict(list)
        for row in rows:
            by_cell[row.cell].append(row)
        self.entered = [_entered(cell, rows) for cell, rows in by_cell.items()]

    def attempts(self, cells):
        return [
            Attempt(row.cell, row.at, row.quantities, row.attempt) for row in self._settled() if _is_in(row.cell, cells)
        ]

    def by_minute(self, cells):
        rows = [
            replace(row, cell=row.cell._replace(hour=int(row.at) // MINUTE * MINUTE))
            for row in self._rows
            if _is_in(row.cell, cells)
        ]
        return Ledger(rows, MINUTE)

    def _settled(self):
        return [row for row in self._rows if row.reserved is None]


def _is_in(cell: Cell, cells) -> bool:
    return cell in cells or cell._replace(context="") in cells


def _entered(cell: Cell, rows: list[_Row]) -> Entered:
    settled = [row for row in rows if row.reserved is None]
    guesses = [row.estimate for row in settled if row.estimate]
    unknown = [row.reserved for row in rows if row.reserved is not None]
    return Entered(
        cell=cell,
        quantities=tuple(sum(row.quantities[n] for row in settled) for n in range(len(CLASSES))),
        requests=sum(1 for row in settled if any(row.quantities)),
        estimates=len(guesses),
        below=(sum(g[0] for g in guesses), sum(g[1] for g in guesses)),
        above=(sum(g[2] for g in guesses), sum(g[3] for g in guesses)),
        unknown=len(unknown),
        reserved=(sum(r[0] for r in unknown), sum(r[1] for r in unknown)),
    )


def dollars(day) -> dict[Cause, Fraction]:
    """By cause."""
    sums: dict[Cause, Fraction] = defaultdict(Fraction)
    for share in day.shares:
        sums[share.cause] += Fraction(share.amount)
    return dict(sums)


def adds_up(day) -> bool:
    """Ledger, shares and what is left come to the bill, to the last digit."""
    return Fraction(day.ledger) + sum(dollars(day).values()) + Fraction(day.unexplained) == Fraction(day.billed)


def explained(ground):
    """Its causes; nothing is left, and everything adds up."""
    day = ground.day()
    assert day.unexplained == 0
    assert day.left == ()
    assert adds_up(day)
    return dollars(day)
