"""A line of a bill beside what usage and list prices make of it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from steward.costs.values import Line

#: Reports state costs to a millionth of a dollar or finer.
UNIT = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Expected:
    """A line as usage and list prices have it."""

    line: Line
    quantity: int
    """Of it the usage reports."""
    amount: Decimal
    """At list prices, each hour at that hour's."""
    rate: Decimal
    """At the day's beginning."""
    long_rate: Decimal | None = None
    """Where prompts may be billed at another rate by their size, and the line does not tell; dollars a unit."""
    long_units: int = 0
    """Of the quantity, as many as `amount` has at that rate already: the ledger's."""
    other_rates: tuple[tuple[str, Decimal], ...] = ()
    """Prices of the same thing at other times: since when, and dollars a unit."""
    near_rates: frozenset[Decimal] = frozenset()
    """Those of them that held the day before, or the day after."""
    parts: int = 1
    """Lines of the report that it is made of, each of them rounded for itself."""

    @property
    def slack(self) -> Decimal:
        """What the report's rounding can come to."""
        return UNIT / 2 * self.parts

    @property
    def is_priced(self) -> bool:
        """It has usage with a price, and a cost: what either side lacks is billed at no ratio of it."""
        return self.amount > 0 and self.line.amount > 0

    def over(self, ratio: Decimal) -> Decimal:
        """What is billed above *ratio* of list prices."""
        return self.line.amount - self.amount * ratio

    def is_at(self, ratio: Decimal) -> bool:
        """As far as the report's rounding tells."""
        return abs(self.over(ratio)) <= self.slack

    def is_repriced(self, ratio: Decimal) -> bool:
        """All of it is billed at *ratio* of another time's price."""
        whole = (self.quantity * (rate - self.rate) * ratio for _, rate in self.other_rates)
        return any(abs(self.over(ratio) - each) <= self.slack for each in whole)
