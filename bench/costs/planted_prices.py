"""The twins' prices with what no ledger can know: a price that changed earlier, a region's multiplier, a discount."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from replica.providers.billing.prices import Prices
from replica.providers.billing.usage import DAY

#: So many days later a new price is in force for sure.
LATER = 7
#: Model and class whose price changed, and from which day of the month to which it is billed so before the list says it.
CHANGED, EARLIER = ("claude-sonnet-5-5", "cached"), range(4, 6)
REGIONAL, REGIONAL_DAYS, MULTIPLIER = "claude-opus-5-5", range(9, 14), Decimal("1.1")
DISCOUNTED, DISCOUNT_DAYS, DISCOUNT = "openai", range(19, 26), Decimal("0.05")


class PlantedPrices(Prices):
    """*begin*: the month's first day, as Unix time; *clean*: as listed."""

    def __init__(self, begin: int, *, clean: bool) -> None:
        super().__init__()
        self._begin, self._clean = begin, clean

    def known(self) -> Iterator[tuple[str, str, str]]:
        """Provider, model and tier of every price."""
        yield from sorted({name[:3] for name in self._rates})

    def listed(self, provider: str, model: str, tier: str, start: int, *, long_context: bool) -> dict[str, Decimal]:
        """What the public list says."""
        return super().rates(provider, model, tier, start, long_context=long_context)

    def rates(self, provider: str, model: str, tier: str, start: int, *, long_context: bool) -> dict[str, Decimal]:
        """What is billed."""
        rates = self.listed(provider, model, tier, start, long_context=long_context)
        if self._clean:
            return rates
        day = (start - self._begin) // DAY
        if model == CHANGED[0] and day in EARLIER:
            rates = rates | {
                CHANGED[1]: self.listed(provider, model, tier, start + LATER * DAY, long_context=long_context)[
                    CHANGED[1]
                ]
            }
        multiplier = Decimal(1)
        if model == REGIONAL and day in REGIONAL_DAYS:
            multiplier *= MULTIPLIER
        if provider == DISCOUNTED and day in DISCOUNT_DAYS:
            multiplier *= 1 - DISCOUNT
        return {name: rate * multiplier for name, rate in rates.items()}
