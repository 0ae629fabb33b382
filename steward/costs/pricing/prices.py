"""List prices: those of genai-prices, as pinned, and over them those of a file of our own.

genai-prices knows today's prices well and yesterday's hardly: a price that fell is there without the day on which it did.
The file holds such days, tiers that the package does not have, and prices that were agreed with a provider.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from functools import cache
from pathlib import Path

from steward.costs.cells import Cell
from steward.costs.errors import PriceUnknown
from steward.costs.pricing.listed_prices import ListedPrices
from steward.costs.pricing.own_prices import STANDARD, Name, OwnPrices, read_own_prices

#: A search costs the same at every tier.
SEARCHES = "web_searches"
#: Anthropic's Priority Tier is paid by a commitment; what it would have cost is the standard price.
_COMMITTED = ("anthropic", "priority")
_SINCE_EVER = dt.date(2000, 1, 1)
_HINT = "compare genai-prices' release notes; a price of your own goes into the file of prices (docs/costs.md)"


class PriceBook:
    """Dollars for one token or search: by provider, model, tier, context, class and hour."""

    def __init__(self, own: OwnPrices) -> None:
        self._own, self._listed = own, ListedPrices()
        self.version = self._listed.version + (f" + {own.digest[:12]}" if own.digest else "")
        self._rates = cache(self._rate_on)

    def rate(self, provider: str, cell: Cell, item: str) -> Decimal:
        """In the cell's hour; where its context is not told, the base one. Raises PriceUnknown."""
        return self._rates(_name(provider, cell), item, _day(cell))

    def other_rates(self, provider: str, cell: Cell, item: str) -> tuple[tuple[str, Decimal], ...]:
        """Prices of the same thing at other times, nearest first: since when, and dollars for one."""
        name, day = _name(provider, cell), _day(cell)
        now, found = self._rates(name, item, day), dict[Decimal, dt.date]()
        for begins in sorted(self._days(name), key=lambda each: (abs((each - day).days), each)):
            try:
                rate = self._rates(name, item, begins)
            except PriceUnknown:
                continue
            if rate != now:
                found.setdefault(rate, begins)
        return tuple((str(begins), rate) for rate, begins in found.items())

    def long_context_above(self, provider: str, model: str, on: dt.date | None = None) -> int | None:
        """Prompts of more tokens are billed at the rate of long ones; None: all at one rate. *on*: today.

        Raises PriceUnknown for a model that nobody knows.
        """
        if not self._knows(provider, model):
            raise self._unknown_model(provider, model)
        return self._above(provider, model, on or dt.datetime.now(dt.UTC).date())

    def _rate_on(self, name: Name, item: str, day: dt.date) -> Decimal:
        price = self._price_on(name, item, day)
        if price is not None:
            return price / (1_000 if item == SEARCHES else 1_000_000)
        if not self._knows(name.provider, name.model):
            raise self._unknown_model(name.provider, name.model)
        size = " for long prompts" if name.context == "long" else ""
        raise PriceUnknown(
            f"{name.provider}: {item} of {name.model} at tier {name.tier!r} has no price{size} on {day}", hint=_HINT
        )

    def _price_on(self, name: Name, item: str, day: dt.date) -> Decimal | None:
        if name.context == "long" and self._above(name.provider, name.model, day) is None:
            # A model with one rate for all its prompts.
            name = name._replace(context="base")
        own = self._own.price(name, item, day)
        if own is not None:
            return own
        standard = name._replace(tier=STANDARD.get(name.provider, name.tier))
        if name != standard and (item == SEARCHES or (name.provider, name.tier) == _COMMITTED):
            return self._price_on(standard, item, day)
        if name.context == "long" and self._own.price(name._replace(context="base"), item, day) is not None:
            # Agreed for short prompts alone: what long ones cost then is not what the list says.
            return None
        return self._listed.price(name, item, day)

    def _above(self, provider: str, model: str, day: dt.date) -> int | None:
        own = self._own.long_above(provider, model, day)
        return self._listed.long_above(provider, model, day) if own is None else own

    def _knows(self, provider: str, model: str) -> bool:
        return self._own.knows(provider, model) or self._listed.knows(provider, model)

    def _days(self, name: Name) -> set[dt.date]:
        """On which a price of the model begins."""
        of = name.provider, name.model
        return {_SINCE_EVER, *self._own.days(*of), *self._listed.days(*of)}

    def _unknown_model(self, provider: str, model: str) -> PriceUnknown:
        return PriceUnknown(
            f"{provider}: no price of a model {model!r} is known to {self.version}",
            hint="update genai-prices, or give the model's prices in the file of prices (docs/costs.md)",
        )


def load_prices(path: Path | None) -> PriceBook:
    """Of the package, and of the file at *path*. Raises PricesUnusable."""
    return PriceBook(read_own_prices(path) if path else OwnPrices())


def _name(provider: str, cell: Cell) -> Name:
    return Name(provider, cell.model, cell.tier, cell.context or "base")


def _day(cell: Cell) -> dt.date:
    return dt.datetime.fromtimestamp(cell.hour, dt.UTC).date()
