"""The columns of FOCUS 1.2 that apply to an AI provider's bill, and what each may hold.

https://focus.finops.org/focus-specification/v1-2/. All mandatory columns are there; of the conditional ones those whose
condition holds for OpenAI and Anthropic (unit prices, SKUs, sub accounts, metering, commitments), and the recommended ones.
Not there: regions, resources, capacity, tags and other currencies: no report of theirs tells any of these.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

Value = str | Decimal | dt.datetime | None
Row = Mapping[str, Value]

USAGE, TAX, CREDIT, ADJUSTMENT, PURCHASE = "Usage", "Tax", "Credit", "Adjustment", "Purchase"
CORRECTION = "Correction"
AI, GENERATIVE_AI = "AI and Machine Learning", "Generative AI"


class Kind(StrEnum):
    """What a column holds."""

    TEXT = "a text"
    DECIMAL = "a number"
    TIME = "a moment in UTC"
    PAIRS = "a JSON object of plain values"


@dataclass(frozen=True, slots=True)
class Column:
    """One of the specification's, or with `x_` one of our own."""

    name: str
    kind: Kind = Kind.TEXT
    mandatory: bool = False
    nullable: bool = True
    allowed: frozenset[str] = frozenset()


def _must(name: str, kind: Kind = Kind.TEXT, *allowed: str) -> Column:
    """Mandatory, and never null."""
    return Column(name, kind, mandatory=True, nullable=False, allowed=frozenset(allowed))


_CATEGORIES = (USAGE, PURCHASE, TAX, CREDIT, ADJUSTMENT)
_SERVICE_CATEGORIES = (
    AI,
    "Analytics",
    "Business Applications",
    "Compute",
    "Databases",
    "Developer Tools",
    "Multicloud",
    "Identity",
    "Integration",
    "Internet of Things",
    "Management and Governance",
    "Media",
    "Migration",
    "Mobile",
    "Networking",
    "Security",
    "Storage",
    "Web",
    "Other",
)
COLUMNS = (
    _must("BilledCost", Kind.DECIMAL),
    _must("EffectiveCost", Kind.DECIMAL),
    _must("ListCost", Kind.DECIMAL),
    _must("ContractedCost", Kind.DECIMAL),
    _must("BillingAccountId"),
    Column("BillingAccountName", mandatory=True),
    _must("BillingCurrency"),
    _must("BillingPeriodStart", Kind.TIME),
    _must("BillingPeriodEnd", Kind.TIME),
    _must("ChargePeriodStart", Kind.TIME),
    _must("ChargePeriodEnd", Kind.TIME),
    _must("ChargeCategory", Kind.TEXT, *_CATEGORIES),
    Column("ChargeClass", mandatory=True, allowed=frozenset({CORRECTION})),
    # "Should not be null": here it never is.
    _must("ChargeDescription"),
    Column("ChargeFrequency", nullable=False, allowed=frozenset({"One-Time", "Recurring", "Usage-Based"})),
    Column("InvoiceId"),
    _must("InvoiceIssuerName"),
    _must("ProviderName"),
    _must("PublisherName"),
    _must("ServiceCategory", Kind.TEXT, *_SERVICE_CATEGORIES),
    # Of one service: its subcategory is another's of no other category.
    Column("ServiceSubcategory", nullable=False, allowed=frozenset({GENERATIVE_AI})),
    _must("ServiceName"),
    Column("SubAccountId"),
    Column("SubAccountName"),
    Column("SkuId"),
    Column("SkuMeter"),
    Column("SkuPriceId"),
    Column("SkuPriceDetails", Kind.PAIRS),
    Column("PricingCategory", allowed=frozenset({"Standard", "Dynamic", "Committed", "Other"})),
    Column("PricingQuantity", Kind.DECIMAL, mandatory=True),
    Column("PricingUnit", mandatory=True),
    Column("ListUnitPrice", Kind.DECIMAL),
    Column("ContractedUnitPrice", Kind.DECIMAL),
    Column("ConsumedQuantity", Kind.DECIMAL),
    Column("ConsumedUnit"),
    # Both providers sell commitments. What one pays is in no report of costs, and so in no row.
    Column("CommitmentDiscountCategory", allowed=frozenset({"Spend", "Usage"})),
    Column("CommitmentDiscountId"),
    Column("CommitmentDiscountName"),
    Column("CommitmentDiscountQuantity", Kind.DECIMAL),
    Column("CommitmentDiscountStatus", allowed=frozenset({"Used", "Unused"})),
    Column("CommitmentDiscountType"),
    Column("CommitmentDiscountUnit"),
    Column("x_ApiKeyId"),
    Column("x_ReadAt", Kind.TIME),
)
BY_NAME: Mapping[str, Column] = {column.name: column for column in COLUMNS}
#: Decimals are DECIMAL(38,12).
DIGITS, SCALE = 38, 12


def row_of(**values: Value) -> Row:
    """All columns in order; those that are not named are null."""
    if unknown := values.keys() - BY_NAME.keys():
        raise KeyError(f"no columns of FOCUS: {', '.join(sorted(unknown))}")
    return {column.name: values.get(column.name) for column in COLUMNS}
