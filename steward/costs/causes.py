"""Why a bill is not what the ledger says: each cause that is known, and what of the difference it explains."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Cause(StrEnum):
    """In the order in which statements list them; `quantities` and `rates` say in which they are looked for."""

    PAST_GATEWAY = "past_gateway"
    """Billed to a key that is not the gateway's."""
    CACHE_WRITE_LIFE = "cache_write_life"
    """Writes of five minutes billed as writes of an hour, or the reverse."""
    CACHE_SPLIT = "cache_split"
    """Input billed as cached that the ledger has as uncached, or the reverse."""
    BOUNDARY_SHIFT = "boundary_shift"
    """Billed in the hour before, or after, the one in which the ledger entered it."""
    SERVED_TIER = "served_tier"
    """Billed at another tier than the answer named."""
    BILLED_MODEL = "billed_model"
    """Billed as another model than the answer named."""
    STATED_TWICE = "stated_twice"
    """An attempt that the bill has once more."""
    UNKNOWN_ATTEMPTS = "unknown_attempts"
    """Attempts of which nobody learned the end, and that the provider billed."""
    ESTIMATED_STREAMS = "estimated_streams"
    """Streams that ended before their usage was told: the ledger has a guess."""
    WEB_SEARCH = "web_search"
    """Searches of which the ledger has another number."""
    NOT_YET_STATED = "not_yet_stated"
    """In the ledger, and not in the bill so far."""
    LONG_CONTEXT = "long_context"
    """Tokens billed at the rate of long prompts, of which the ledger has fewer or more."""
    PRICE_CHANGE = "price_change"
    """Billed at a price that was in force at another time."""
    REGIONAL_RATE = "regional_rate"
    """Billed with the multiplier of a region."""
    DISCOUNT = "discount"
    """Billed at one share of the list price throughout."""
    COMMITMENT = "commitment"
    """Used under a commitment: it is paid elsewhere, and no line of this bill."""
    OTHER_ITEM = "other_item"
    """Billed for something that is no token and no search."""
    RESTATED = "restated"
    """The provider has changed its statement since the invoice was made."""
    ROUNDING = "rounding"
    """Lines of an invoice are rounded, each for itself."""
    CREDIT = "credit"
    TAX = "tax"
    UNEXPLAINED = "unexplained"
    """What is left. Found by subtraction: nothing is ever put here."""


@dataclass(frozen=True, slots=True)
class Share:
    """What a cause explains of one line. Over all shares of a day: ledger + shares = bill, exactly."""

    cause: Cause
    project: str
    key: str
    model: str
    tier: str
    context: str
    item: str
    """One of CLASSES, or what the provider calls the line."""
    quantity: int
    """Billed less entered; 0 where only the price differs."""
    amount: Decimal
    """Dollars. Positive: billed more than the ledger has."""
    evidence: str
    hour: int | None = None
    """Unix time; None: of the whole day."""
