"""What a day came to, as it is stored: the same day as JSON, from which statements are built long after its pages were read."""

from __future__ import annotations

import datetime as dt
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError, model_validator

from steward.costs.attribution.days import Day
from steward.costs.causes import Cause, Share
from steward.costs.cells import Cell, Quantities
from steward.costs.money import Money, less, total
from steward.costs.values import Bill, Line
from steward.errors import BadInput

#: How the evidence of a discount ends that the terms name: one that nobody agreed is a finding.
_AGREED = ", as agreed"


class ResultUnusable(BadInput):
    """A stored result of a day is not what it ought to be: no statement is made of it."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DayShare(_Value):
    """What a cause explains of one line, as in `causes.Share`."""

    cause: Cause
    project: str
    key: str
    model: str
    tier: str
    context: str
    item: str
    quantity: int
    amount: Money
    evidence: str
    hour: int | None
    agreed: bool
    """By the terms: a discount or a commitment that is theirs is no variance."""

    @classmethod
    def of(cls, share: Share) -> Self:
        agreed = share.cause is Cause.COMMITMENT or (share.cause is Cause.DISCOUNT and share.evidence.endswith(_AGREED))
        members = {name: getattr(share, name) for name in Share.__dataclass_fields__}
        return cls(**members, agreed=agreed)


class Charge(_Value):
    """A line of the day's cost report, as in `values.Line`: what an invoice is held against."""

    project: str
    key: str | None
    model: str
    tier: str
    context: str
    item: str
    quantity: int | None
    amount: Money

    @classmethod
    def of(cls, line: Line) -> Self:
        return cls(**{name: getattr(line, name) for name in Line.__dataclass_fields__})


class LeftOver(_Value):
    """Quantities of an hour's cell without a cause."""

    hour: int
    project: str
    key: str
    model: str
    tier: str
    context: str
    quantities: Quantities
    """Billed less entered, in the order of `cells.CLASSES`."""

    @classmethod
    def of(cls, cell: Cell, quantities: Quantities) -> Self:
        members = cell._asdict()
        del members["account"]
        return cls(**members, quantities=quantities)


class Restated(_Value):
    """What a provider took back: the cost, or the use, that it stated when it was asked before."""

    reading: str
    billed: Money
    """At that time."""


class DayResult(_Value):
    """One reading of an account's day. `ledger`, all shares and `unexplained` add up to `billed`, exactly."""

    form: Literal[1] = 1
    account: str
    provider: str
    day: dt.date
    reading: str
    """Why it was read: T+1, T+3, T+35, or what a person calls it."""
    read_at: AwareDatetime
    final: bool
    """The provider has had its time: what is not stated now is missing."""
    pages: tuple[str, ...]
    """The SHA-256 of each raw page."""
    hours: tuple[str, ...] = ()
    """The SHA-256 of each sealed hour of the ledger."""
    restates: Restated | None = None
    """Where the provider stated otherwise the time before."""
    prices: str
    """The version of the book of prices."""
    ledger: Money
    """At list prices."""
    billed: Money
    """The sum of the charges."""
    shares: tuple[DayShare, ...]
    left: tuple[LeftOver, ...]
    charges: tuple[Charge, ...]
    bound: Money
    """What the rounding of the report's lines can come to."""

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if (charged := total(each.amount for each in self.charges)) != self.billed:
            msg = f"the charges of {self.account} on {self.day} add up to {charged}, and {self.billed} is billed"
            raise ValueError(msg)
        return self

    @property
    def unexplained(self) -> Money:
        """By subtraction, exactly."""
        return less(self.billed, self.ledger, *(share.amount for share in self.shares))

    @classmethod
    def of(
        cls,
        day: Day,
        bill: Bill,
        *,
        reading: str,
        final: bool,
        prices: str,
        hours: tuple[str, ...] = (),
        restates: Restated | None = None,
    ) -> Self:
        """Of what `explain` found in *bill*; *final* as it was told, *prices* the book's version."""
        return cls(
            account=day.account,
            provider=bill.provider,
            day=day.day,
            reading=reading,
            read_at=bill.read_at,
            final=final,
            pages=bill.pages,
            hours=hours,
            restates=restates,
            prices=prices,
            ledger=day.ledger,
            billed=total(line.amount for line in bill.lines),
            shares=tuple(DayShare.of(each) for each in day.shares),
            left=tuple(LeftOver.of(cell, quantities) for cell, quantities in day.left),
            charges=tuple(Charge.of(line) for line in bill.lines),
            bound=day.bound,
        )

    def to_json(self) -> bytes:
        """The same bytes for the same result."""
        return self.model_dump_json().encode()

    @classmethod
    def from_json(cls, body: bytes) -> Self:
        """Raises ResultUnusable."""
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            raise ResultUnusable(
                f"a stored day cannot be read: {error.errors()[0]['msg']} at {error.errors()[0]['loc']}",
                hint="compare the object's SHA-256 with the one that was entered; explain the day again from its kept pages",
            ) from None


class Gap(_Value):
    """A day of an account that could not be had. It has no cost, which is not a cost of nothing."""

    account: str
    day: dt.date | None
    """None: the invoice."""
    reason: str
    """One line."""
