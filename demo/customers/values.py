"""What a customer's encrypted fields hold: lengths as they are in life, the same from the same draw."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date, timedelta
from random import Random
from typing import Any, NamedTuple

_FIRST_DAY = date(1930, 1, 1)
_DAYS = 28_000
_PLACES = ("office", "orders", "accounts", "reception", "workshop", "purchasing", "support", "library")
_WISHES = (
    "prefers letters",
    "asks to be called in the morning, and never on Fridays",
    "pays by invoice within thirty days",
    "wants a copy of every contract",
    "ordered by telephone before there was a form for it",
    "sends everything back once and keeps the second",
    "speaks French",
    "has a standing order for the first of the month",
    "was promised a discount of ten percent until the end of the year",
    "moved twice this year: ask for the address before anything is sent",
)


class Values(NamedTuple):
    """Of one customer."""

    email: str
    born: date | None
    notes: str | None

    def body(self) -> dict[str, Any]:
        """As a client of the application sends them."""
        return {"email": self.email, "born": self.born and self.born.isoformat(), "notes": self.notes}

    def digest(self) -> str:
        """Tells whether two are equal, and nothing else: it may stand in a log."""
        return digest(self.body())


def digest(body: Mapping[str, Any]) -> str:
    """The same of what the application answers."""
    told = json.dumps([body["email"], body["born"], body["notes"]]).encode()
    return hashlib.blake2b(told, digest_size=16).hexdigest()


def drawn(chance: Random, tenant: str) -> Values:
    """A customer of *tenant*'s. One in twenty shares an address with others, or has no birthday; one in eight has no notes."""
    number = chance.randrange(40) if chance.random() < 0.05 else chance.getrandbits(32)  # noqa: PLR2004
    born = _FIRST_DAY + timedelta(days=chance.randrange(_DAYS)) if chance.random() < 0.95 else None  # noqa: PLR2004
    notes = "; ".join(chance.choices(_WISHES, k=chance.randrange(8))) or None
    return Values(f"{chance.choice(_PLACES)}-{number}@{tenant}.example", born, notes)
