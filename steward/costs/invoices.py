"""A provider's invoice of a month: what neither provider's API tells, and what has to be paid in the end."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, Self, cast

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from steward.costs.money import CENT, Money, cents, less, total
from steward.errors import BadInput

#: What invoices call the classes of the ledger.
_CLASSES = {
    "input": "input_uncached",
    "cached": "input_cached",
    "cache_write_30m": "cache_write",
    "cache_write_5m": "cache_write_5m",
    "cache_write_1h": "cache_write_1h",
    "output": "output",
    "web_search": "web_searches",
}
_HINT = "have the invoice exported again; what it says is never mended here"


class InvoiceUnusable(BadInput):
    """An invoice does not add up, or is not the one that was asked for: no statement is made against it."""


def _whole_cents(amount: Decimal) -> Decimal:
    if not amount.is_finite() or amount != cents(amount):
        msg = f"{amount} is no amount in whole cents"
        raise ValueError(msg)
    return amount


WholeCents = Annotated[Money, AfterValidator(_whole_cents)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InvoiceLine(_Value):
    """One item of a project, over the whole month, in whole cents."""

    project: str
    model: str
    tier: str = Field(alias="service_tier")
    long_context: bool
    item: str = Field(alias="class")
    """One of `cells.CLASSES`, or what the provider calls the line."""
    quantity: int = Field(ge=0, strict=True)
    amount: WholeCents


class InvoiceCredit(_Value):
    """Granted, and not more than the lines come to in all is applied."""

    description: str
    amount: WholeCents = Field(le=0)


class Invoice(_Value):
    """Of one account's month, in dollars. Everything on it has been added up again."""

    account: str
    month: str
    """YYYY-MM."""
    number: str
    provider: str
    organization: str
    lines: tuple[InvoiceLine, ...]
    subtotal: WholeCents
    credits: tuple[InvoiceCredit, ...]
    credit: WholeCents
    """Applied; not positive."""
    tax_rate: Money
    tax: WholeCents
    payable: WholeCents
