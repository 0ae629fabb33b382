"""List prices: those of genai-prices, as pinned, and over them those of a file of our own.

genai-prices knows today's prices well and yesterday's hardly: a price that fell is there without the day on which it did.
The file holds such days, tiers that the package does not have, and prices that were agreed with a provider.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Literal

from genai_prices.data_snapshot import DataSnapshot
from genai_prices.types import ModelInfo, StartDateConstraint, TieredPrices
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from steward.costs.cells import CLASSES, Cell
from steward.costs.errors import PricesUnusable, PriceUnknown

#: Which of the package's prices a class is billed at, and for how many units that is. Writes without a stated life are
#: OpenAI's, which has one kind.
_KEYS = {
    "input_uncached": ("input_mtok", 1_000_000),
    "input_cached": ("cache_read_mtok", 1_000_000),
    "cache_write": ("cache_write_mtok", 1_000_000),
    "cache_write_5m": ("cache_write_mtok", 1_000_000),
    "cache_write_1h": ("cache_write_1h_mtok", 1_000_000),
    "output": ("output_mtok", 1_000_000),
    "web_searches": ("web_searches_kcount", 1_000),
}
#: Tiers at which the package's prices hold without a variant.
_STANDARD = frozenset({"default", "standard"})
#: What an answer names, and the context by which the package finds the tier's price.
_VARIANTS = {"batch": ("processing", "batch")}
_SINCE_EVER = dt.date(2000, 1, 1)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OwnPrice(_Frozen):
    """Prices of one model and tier, from a day on until the next entry's."""

    provider: Literal["openai", "anthropic"]
    model: str = Field(min_length=1)
    tier: str = Field(min_length=1)
    context: Literal["base", "long"] = "base"
    begins: dt.date = Field(alias="from")
    until: dt.date | None = None
    """The first day on which it does not hold any more; absent: for ever."""
    prices: Mapping[str, Decimal]
    """Dollars a million tokens, or a thousand searches, by class."""


class OwnPrices(_Frozen):
    """The file."""

    prices: tuple[OwnPrice, ...] = ()


class PriceBook:
    """Dollars for one token or search: by provider, model, tier, context, class and hour."""

    def __init__(self, own: OwnPrices, digest: str = "") -> None:
        from genai_prices.data import providers  # noqa: PLC0415  1.6 MB of it

        self._own = own.prices
        # As pinned: prices that were fetched would be none that anybody can compute again.
        self._snapshot = DataSnapshot(providers=providers, from_auto_update=False)
        self.version = f"genai-prices {metadata.version('genai-prices')}" + (f" + {digest[:12]}" if digest else "")
        self._rates = cache(self._rate_on)

    def rate(self, provider: str, cell: Cell, item: str) -> Decimal:
        """In the cell's hour; where its context is not told, the base one. Raises PriceUnknown."""
        day = dt.datetime.fromtimestamp(cell.hour, dt.UTC).date()
        return self._rates(provider, cell.model, cell.tier, cell.context or "base", item, day)

    def other_rates(self, provider: str, cell: Cell, item: str) -> tuple[tuple[str, Decimal], ...]:
        """Prices of the same thing at other times, nearest first: since when, and dollars for one."""
        day = dt.datetime.fromtimestamp(cell.hour, dt.UTC).date()
        return self._others(provider, cell.model, cell.tier, cell.context or "base", item, day)

    def long_context_above(self, provider: str, model: str) -> int | None:
        """Prompts of more tokens are billed at the rate of long ones; None: all at one rate. Raises PriceUnknown."""
        prices = self._model(provider, model).get_prices(dt.datetime.now(dt.UTC))
        tiers = [each.tiers[0].start for each in vars(prices).values() if isinstance(each, TieredPrices) and each.tiers]
        return min(tiers, default=None)

    def _rate_on(self, provider: str, model: str, tier: str, context: str, item: str, day: dt.date) -> Decimal:
        key, per = _KEYS[item]
        price = self._own_price(provider, model, tier, context, item, day)
        if price is None:
            listed = self._listed(provider, model, tier, key, day)
            if isinstance(listed, TieredPrices):
                price = listed.tiers[0].price if context == "long" and listed.tiers else listed.base
            elif context == "long":
                # A model with one rate for all its prompts.
                price = self._own_price(provider, model, tier, "base", item, day)
            price = listed if price is None and not isinstance(listed, TieredPrices) else price
        if price is None:
            raise PriceUnknown(
                f"{provider}: {item} of {model} at tier {tier!r} has no price on {day}",
                hint="compare genai-prices' release notes; a price of your own goes into the file of prices (docs/costs.md)",
            )
        return price / per

    def _own_price(self, provider: str, model: str, tier: str, context: str, item: str, day: dt.date) -> Decimal | None:
        found = [
            each
            for each in self._own
            if (each.provider, each.model, each.tier, each.context) == (provider, model, tier, context)
            and item in each.prices
            and each.begins <= day
            and (each.until is None or day < each.until)
        ]
        return max(found, key=lambda each: each.begins).prices[item] if found else None

    def _listed(self, provider: str, model: str, tier: str, key: str, day: dt.date) -> Decimal | TieredPrices | None:
        info, moment = self._model(provider, model), dt.datetime.combine(day, dt.time(12), dt.UTC)
        named = {} if tier in _STANDARD else dict([_VARIANTS.get(tier, ("service_tier", tier))])
        # Without a variant the package answers with the standard price.
        if named and not _has_variant(info, named, moment):
            return None
        return getattr(info.get_prices(moment, named or None), key)

    def _model(self, provider: str, model: str) -> ModelInfo:
        try:
            return self._snapshot.find_provider_model(model, None, provider, None)[1]
        except LookupError:
            raise PriceUnknown(
                f"{provider}: no price of a model {model!r} is known to {self.version}",
                hint="update genai-prices, or give the model's prices in the file of prices (docs/costs.md)",
            ) from None

    def _others(
        self, provider: str, model: str, tier: str, context: str, item: str, day: dt.date
    ) -> tuple[tuple[str, Decimal], ...]:
        now = self._rates(provider, model, tier, context, item, day)
        found: dict[Decimal, dt.date] = {}
        for begins in sorted(self._days(provider, model, tier), key=lambda each: abs((each - day).days)):
            try:
                rate = self._rates(provider, model, tier, context, item, begins)
            except PriceUnknown:
                continue
            if rate != now:
                found.setdefault(rate, begins)
        return tuple((str(begins), rate) for rate, begins in found.items())

    def _days(self, provider: str, model: str, tier: str) -> Iterable[dt.date]:
        """On which a price of the model begins."""
        days = {_SINCE_EVER}
        for each in self._own:
            if (each.provider, each.model, each.tier) == (provider, model, tier):
                days |= {each.begins} | ({each.until} if each.until else set())
        info = self._model(provider, model)
        listed = info.prices if isinstance(info.prices, list) else []
        constraints = [each.constraint for each in (*listed, *(info.price_variants or ()))]
        return days | {each.start_date for each in constraints if isinstance(each, StartDateConstraint)}


def _has_variant(info: ModelInfo, named: Mapping[str, str], moment: dt.datetime) -> bool:
    return any(
        all(named.get(key) == value for key, value in variant.when.items())
        and (variant.constraint is None or variant.constraint.active(moment))
        for variant in info.price_variants or ()
    )


def load_prices(path: Path | None) -> PriceBook:
    """Of the package, and of the file at *path*. Raises PricesUnusable."""
    if path is None:
        return PriceBook(OwnPrices())
    try:
        text = path.read_bytes()
        own = OwnPrices.model_validate(tomllib.loads(text.decode(), parse_float=Decimal))
    except (OSError, ValueError, ValidationError) as error:
        raise PricesUnusable(
            f"{path.name} cannot be read as prices: {error}", hint="docs/costs.md shows an entry"
        ) from error
    _check(own, path)
    return PriceBook(own, hashlib.sha256(text).hexdigest())


def _check(own: OwnPrices, path: Path) -> None:
    for each in own.prices:
        if unknown := each.prices.keys() - set(CLASSES):
            raise PricesUnusable(
                f"{path.name}: {sorted(unknown)[0]!r} of {each.model} is no class of tokens",
                hint=f"the classes are {', '.join(CLASSES)}",
            )
    named = sorted(own.prices, key=lambda each: (each.provider, each.model, each.tier, each.context, each.begins))
    for one, other in pairwise(named):
        same = (one.provider, one.model, one.tier, one.context) == (
            other.provider,
            other.model,
            other.tier,
            other.context,
        )
        if same and one.until and one.until > other.begins and one.prices.keys() & other.prices.keys():
            raise PricesUnusable(
                f"{path.name}: two prices of {one.model} at tier {one.tier} hold on {other.begins}",
                hint="let the first one end (until) where the second one begins (from)",
            )
