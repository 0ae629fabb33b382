"""The twins' price table. What has no price is an error, never the standard rate."""

from __future__ import annotations

import datetime as dt
import tomllib
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from replica.providers.billing.usage import DAY
from replica.providers.errors import ConfigurationUnfit, UnknownPrice

STANDARD_TABLE = Path(__file__).with_name("prices.toml")
_EPOCH = dt.date(1970, 1, 1)
_MILLION = Decimal(1_000_000)
_CLASSES = ("input", "cached", "cache_write_5m", "cache_write_1h", "cache_write_30m", "output")


@dataclass(frozen=True, slots=True)
class Rates:
    """Dollars a token by class, from the UTC day `day` (days since 1970) on."""

    day: int
    of: dict[str, Decimal]


class Prices:
    """The table in *file*."""

    def __init__(self, file: Path = STANDARD_TABLE) -> None:
        try:
            table = tomllib.loads(file.read_text(), parse_float=Decimal)
            self._rates = _rates(table["prices"])
            self.tax_rate = Decimal(table["invoice"]["tax_rate"])
            self.web_search = Decimal(table["invoice"]["web_search"])
        except (OSError, KeyError, TypeError, ArithmeticError, tomllib.TOMLDecodeError) as error:
            raise ConfigurationUnfit(f"{file} is no table of prices: {type(error).__name__}: {error}") from None

    def rates(self, provider: str, model: str, tier: str, start: int, *, long_context: bool) -> dict[str, Decimal]:
        """Dollars a token by class at the Unix time *start*. A model without long-context rates has one price for all."""
        found = self._rates.get((provider, model, tier, long_context)) or self._rates.get(
            (provider, model, tier, False)
        )
        day = start // DAY
        for rates in reversed(found or []):
            if rates.day <= day:
                return rates.of
        raise UnknownPrice(
            f"no price for {provider} {model} in tier {tier!r} on {_EPOCH + dt.timedelta(days=day)}",
            hint="add it to the table of prices that the twins' configuration names",
        )


def _rates(table: list[dict[str, Any]]) -> dict[tuple[str, str, str, bool], list[Rates]]:
    found: dict[tuple[str, str, str, bool], list[Rates]] = {}
    for each in sorted(table, key=lambda row: row["from"]):
        key = (each["provider"], each["model"], each["tier"], bool(each.get("long_context")))
        day = (each["from"] - _EPOCH).days
        of = {name: Decimal(each[name]) / _MILLION for name in _CLASSES if name in each}
        found.setdefault(key, []).append(Rates(day, of))
    return found
