"""The file of prices of our own: those that a price list has lost, never had, or that were agreed with a provider."""

from __future__ import annotations

import datetime as dt
import hashlib
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from steward.costs.cells import CLASSES
from steward.costs.errors import PricesUnusable

#: What a provider names the tier that nothing was asked for.
STANDARD = {"openai": "default", "anthropic": "standard"}


class Name(NamedTuple):
    """What has a price: a model at a tier, for prompts of one size."""

    provider: str
    model: str
    tier: str
    context: str


class OwnPrice(BaseModel):
    """Prices by class, from a day on until the next entry's of the same name and class."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: Literal["openai", "anthropic"]
    model: str = Field(min_length=1)
    tier: str = Field(min_length=1)
    context: Literal["base", "long"] = "base"
    above: int | None = Field(default=None, gt=0)
    """Prompts of more tokens are long; needed where no list says so. For `long` only."""
    begins: dt.date = Field(alias="from")
    until: dt.date | None = None
    """The first day on which it does not hold any more; absent: for ever."""
    prices: Mapping[str, Annotated[Decimal, Field(ge=0)]] = Field(min_length=1)
    """Dollars a million tokens, or a thousand searches, by class."""

    @model_validator(mode="after")
    def _makes_sense(self) -> OwnPrice:
        if unknown := self.prices.keys() - set(CLASSES):
            raise ValueError(f"{min(unknown)!r} is no class; the classes are {', '.join(CLASSES)}")
        if self.until and self.until <= self.begins:
            raise ValueError(f"it ends on {self.until} and begins on {self.begins}: it never holds")
        if self.above and self.context == "base":
            raise ValueError("only prices of context 'long' have a threshold (above)")
        return self

    @property
    def name(self) -> Name:
        return Name(self.provider, self.model, self.tier, self.context)

    def holds(self, day: dt.date) -> bool:
        return self.begins <= day and (self.until is None or day < self.until)


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    prices: tuple[OwnPrice, ...] = ()


class OwnPrices:
    """By name, class and day. `digest` is the file's."""

    def __init__(self, prices: tuple[OwnPrice, ...] = (), digest: str = "") -> None:
        self.digest = digest
        self._all = prices

    def price(self, name: Name, item: str, day: dt.date) -> Decimal | None:
        """Dollars a million, or a thousand; of several entries the one that began last."""
        found = [each for each in self._all if each.name == name and item in each.prices and each.holds(day)]
        return max(found, key=lambda each: each.begins).prices[item] if found else None

    def long_above(self, provider: str, model: str, day: dt.date) -> int | None:
        """The smallest threshold that an entry of the model names."""
        return min((each.above for each in self._of(provider, model) if each.above and each.holds(day)), default=None)

    def days(self, provider: str, model: str) -> Iterator[dt.date]:
        """On which a price of the model begins or ends."""
        for each in self._of(provider, model):
            yield each.begins
            if each.until:
                yield each.until

    def knows(self, provider: str, model: str) -> bool:
        return any(self._of(provider, model))

    def _of(self, provider: str, model: str) -> Iterator[OwnPrice]:
        return (each for each in self._all if (each.provider, each.model) == (provider, model))


def read_own_prices(path: Path) -> OwnPrices:
    """Raises PricesUnusable."""
    try:
        text = path.read_bytes()
        file = _File.model_validate(tomllib.loads(text.decode(), parse_float=Decimal))
    except (OSError, ValueError, ValidationError) as error:
        raise PricesUnusable(
            f"{path.name} cannot be read as prices: {error}", hint="docs/costs.md shows an entry"
        ) from error
    _check_overlap(file.prices, path.name)
    return OwnPrices(file.prices, hashlib.sha256(text).hexdigest())


def _check_overlap(prices: tuple[OwnPrice, ...], file: str) -> None:
    """An entry without an end gives way to the next; one that says when it ends means it."""
    by_item = defaultdict[tuple[Name, str], list[OwnPrice]](list)
    for each in sorted(prices, key=lambda each: each.begins):
        for item in each.prices:
            by_item[each.name, item].append(each)
    for (name, item), entries in by_item.items():
        for one, other in pairwise(entries):
            if one.begins == other.begins or (one.until and one.until > other.begins):
                raise PricesUnusable(
                    f"{file}: two prices of {item} of {name.model} at tier {name.tier} hold on {other.begins}",
                    hint="let the first one end (until) where the second one begins (from)",
                )
