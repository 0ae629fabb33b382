"""The two sides of a day: what the provider's reports state, and what the ledger has."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from steward.costs.cells import HOUR, Cell, Quantities


@dataclass(frozen=True, slots=True)
class Usage:
    """A cell as the usage reports state it."""

    cell: Cell
    quantities: Quantities
    requests: int | None
    """None: the provider does not count them."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the cost reports: one day, one item."""

    project: str
    key: str | None
    """None: the report does not tell keys apart."""
    model: str
    tier: str
    context: str
    item: str
    """One of CLASSES, or what the provider calls what it is no class of."""
    quantity: int | None
    amount: Decimal
    """Dollars."""


@dataclass(frozen=True, slots=True)
class Bill:
    """What a provider states of an account's day, as read at one moment."""

    account: str
    provider: str
    day: dt.date
    usage: tuple[Usage, ...]
    """Of the day, and of the hour before and after it: an attempt at midnight may be found there."""
    lines: tuple[Line, ...]
    read_at: dt.datetime
    pages: tuple[str, ...] = ()
    """The SHA-256 of each raw page."""
    bucket: int = HOUR
    """Seconds that `usage` is stated by: an hour, or a minute."""


@dataclass(frozen=True, slots=True)
class Entered:
    """A cell as the ledger has it."""

    cell: Cell
    quantities: Quantities
    """Of all settled attempts; of those that are estimates, the guess."""
    requests: int
    """How many settled attempts used anything."""
    estimates: int = 0
    below: tuple[int, int] = (0, 0)
    """How much less than guessed the estimates may come to in all: input and output, not negative."""
    above: tuple[int, int] = (0, 0)
    """How much more."""
    unknown: int = 0
    """Attempts nobody knows the end of; their tokens are in no figure."""
    reserved: tuple[int, int] = (0, 0)
    """The most that those may have used, input and output."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A settled attempt."""

    cell: Cell
    at: float
    """Unix time."""
    quantities: Quantities
    attempt: str
    context: str = ""
    """By the size of its prompt, where the cell does not tell."""


class LedgerDay(Protocol):
    """What the ledger has of a day, and of the hour before and after it."""

    @property
    def entered(self) -> Sequence[Entered]: ...

    def attempts(self, cells: Collection[Cell]) -> Sequence[Attempt]:
        """The settled ones of these cells that used anything; a cell without a context stands for all of them."""
        ...

    def by_minute(self, cells: Collection[Cell]) -> LedgerDay:
        """The same of these hours alone, minute by minute; a cell without a context stands for all of them."""
        ...


@dataclass(frozen=True, slots=True)
class Terms:
    """What was agreed with a provider, beside its list prices."""

    gateway_keys: frozenset[str]
    """Ids of the keys that only the gateway has."""
    discount: Decimal = Decimal(0)
    """Share of the list price that is not billed: 0.1 is ten per cent."""
    committed_tiers: frozenset[str] = frozenset()
    """Tiers that are paid by a commitment, and are in no cost report."""
    regional_multipliers: tuple[Decimal, ...] = (Decimal("1.1"),)
    model_aliases: Mapping[str, str] = field(default_factory=dict[str, str])
