"""Line items: usage times price, exactly, by day and by what both providers' reports tell apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from replica.providers.billing.prices import Prices
from replica.providers.billing.usage import DAY, Usage

# Priority Tier is paid by commitment, so Anthropic's cost report never shows it.
_COMMITTED = {("anthropic", "priority")}
# Which column of usage is priced by which class.
_CLASSES = (
    ("input", "input_uncached"),
    ("cached", "cache_read"),
    ("cache_write_5m", "cache_write_5m"),
    ("cache_write_1h", "cache_write_1h"),
    ("cache_write_30m", "cache_write_30m"),
    ("output", "output"),
)
WEB_SEARCH = "web_search"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a line is for. `token_class` is one of the price table's, or `web_search`."""

    day: int
    account: str
    project: str
    key_id: str
    model: str
    tier: str
    long_context: bool
    token_class: str


@dataclass(slots=True)
class Line:
    """Its sums."""

    kind: Kind
    quantity: int = 0
    amount: Decimal = Decimal(0)


def lines(usage: Iterable[Usage], prices: Prices) -> list[Line]:
    """One line a kind, in order. UnknownPrice where something was used that has none."""
    found: dict[Kind, Line] = {}
    for row in usage:
        if (row.provider, row.tier) in _COMMITTED:
            continue
        rates = prices.rates(row.provider, row.model, row.tier, row.start, long_context=row.long_context)
        for token_class, column in _CLASSES:
            quantity: int = getattr(row, column)
            if quantity:
                _add(found, row, token_class, quantity, quantity * rates[token_class])
        if row.web_searches:
            _add(found, row, WEB_SEARCH, row.web_searches, row.web_searches * prices.web_search)
    return sorted(found.values(), key=_order)


def _add(found: dict[Kind, Line], row: Usage, token_class: str, quantity: int, amount: Decimal) -> None:
    kind = Kind(
        row.start // DAY, row.account, row.project, row.key_id, row.model, row.tier, row.long_context, token_class
    )
    line = found.setdefault(kind, Line(kind))
    line.quantity += quantity
    line.amount += amount


def _order(line: Line) -> tuple[int, str, str, str, str, bool, str]:
    kind = line.kind
    return kind.day, kind.project, kind.key_id, kind.model, kind.tier, kind.long_context, kind.token_class
