"""The public list: genai-prices as pinned, made strict.

The package answers the standard price for a tier that it does not have or does not have yet, the first price for a day on
which none holds, and a model's price for any name that begins alike. Here all of that is no price.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from importlib import metadata

from genai_prices.data_snapshot import DataSnapshot
from genai_prices.types import (
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    StartDateConstraint,
    TieredPrices,
)

from steward.costs.pricing.own_prices import STANDARD, Name

#: The package's name of each class that a provider has. OpenAI's writes have one kind, Anthropic's a life each.
_KEYS: Mapping[str, Mapping[str, str]] = {
    "openai": {
        "input_uncached": "input_mtok",
        "input_cached": "cache_read_mtok",
        "cache_write": "cache_write_mtok",
        "output": "output_mtok",
        "web_searches": "web_searches_kcount",
    },
    "anthropic": {
        "input_uncached": "input_mtok",
        "input_cached": "cache_read_mtok",
        "cache_write_5m": "cache_write_mtok",
        "cache_write_1h": "cache_write_1h_mtok",
        "output": "output_mtok",
        "web_searches": "web_searches_kcount",
    },
}
#: What may stand behind a name without making it another model's; of a date the package may name the beginning itself.
_DATE = re.compile(r"(-preview)?(-\d{4}|-\d{8}|-\d{4}-\d{2}-\d{2}|-latest|@\d{8})?")
_DATE_BEGUN = re.compile(r"[-@](\d{4})?-?$")
#: Names of fine-tuned models end with whose they are.
_FINE_TUNED = ("ft:", ".ft-")


class ListedPrices:
    """By name, class and day."""

    def __init__(self) -> None:
        from genai_prices.data import providers  # noqa: PLC0415  1.6 MB of it

        # As pinned: prices that were fetched would be none that anybody can compute again.
        self._snapshot = DataSnapshot(providers=providers, from_auto_update=False)
        self.version = f"genai-prices {metadata.version('genai-prices')}"

    def price(self, name: Name, item: str, day: dt.date) -> Decimal | None:
        """Dollars a million tokens, or a thousand searches; None: the list does not say."""
        model, key = self._model(name.provider, name.model), _KEYS.get(name.provider, {}).get(item)
        standard = _standard(model, day) if model else None
        if model is None or standard is None or key is None:
            return None
        usual: Decimal | TieredPrices | None = getattr(standard, key)
        if name.tier == STANDARD[name.provider]:
            return _by_size(usual, name.context)
        variant = _variant(model, name.tier, key, day)
        # One price for all prompts, where the standard tier has two: nothing says what a long one costs, if it is sold.
        if name.context == "long" and isinstance(usual, TieredPrices) and not isinstance(variant, TieredPrices):
            return None
        return _by_size(variant, name.context)

    def knows(self, provider: str, model: str) -> bool:
        return self._model(provider, model) is not None

    def long_above(self, provider: str, model: str, day: dt.date) -> int | None:
        """Prompts of more tokens are billed at the rate of long ones."""
        info = self._model(provider, model)
        standard = _standard(info, day) if info else None
        tiered = [each for each in vars(standard).values() if isinstance(each, TieredPrices) and each.tiers]
        return min((each.tiers[0].start for each in tiered), default=None)

    def days(self, provider: str, model: str) -> Iterator[dt.date]:
        """On which a price of the model begins."""
        info = self._model(provider, model)
        if info is None:
            return
        conditional = info.prices if isinstance(info.prices, list) else []
        for each in (*conditional, *(info.price_variants or ())):
            if isinstance(each.constraint, StartDateConstraint):
                yield each.constraint.start_date

    def _model(self, provider: str, name: str) -> ModelInfo | None:
        if provider not in _KEYS:
            return None
        try:
            model = self._snapshot.find_provider_model(name, None, provider, None)[1]
        except LookupError:
            return None
        return model if _is_named(model.match, name.lower()) else None


def _is_named(match: object, name: str) -> bool:
    """Whether the name is the model's own, with a date or without: `gpt-5-nano-turbo` is not GPT-5 nano."""
    match match:
        case ClauseOr():
            return any(_is_named(each, name) for each in match.or_)
        case ClauseEquals() | ClauseRegex():
            return match.is_match(name)
        case ClauseStartsWith(starts_with=start):
            rest = name.removeprefix(_DATE_BEGUN.sub("", start))
            own = any(each in start for each in _FINE_TUNED) or _DATE.fullmatch(rest) is not None
            return name.startswith(start) and own
        case _:
            return False


def _standard(model: ModelInfo, day: dt.date) -> ModelPrice | None:
    if isinstance(model.prices, ModelPrice):
        return model.prices
    return next((each.prices for each in reversed(model.prices) if _holds(each, day)), None)


def _variant(model: ModelInfo, tier: str, key: str, day: dt.date) -> Decimal | TieredPrices | None:
    """Of the tier, and nothing else: a class that it does not name has no price there."""
    when = {"processing": "batch"} if tier == "batch" else {"service_tier": tier}
    for each in model.price_variants or ():
        if each.when == when and _holds(each, day) and (price := getattr(each.prices, key)) is not None:
            return price
    return None


def _holds(price: ConditionalPrice | PriceVariant, day: dt.date) -> bool:
    """Prices by the hour of the day are none of a day's."""
    if price.constraint is None:
        return True
    return isinstance(price.constraint, StartDateConstraint) and price.constraint.start_date <= day


def _by_size(price: Decimal | TieredPrices | None, context: str) -> Decimal | None:
    if not isinstance(price, TieredPrices):
        return price
    if context == "base" or not price.tiers:
        return price.base
    # Of three sizes, `long` would name two.
    return price.tiers[0].price if len(price.tiers) == 1 else None
