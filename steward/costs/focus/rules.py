"""Whether rows are a FOCUS 1.2 dataset: columns, types, nulls, allowed values, and what columns say of each other.

The requirements (MUST) of the specification for the columns in `focus_columns`, and those of its attributes for formats. What
nobody can tell from rows is not here, such as whether an id is the provider's.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import cast

from steward.costs.focus.columns import (
    BY_NAME,
    COLUMNS,
    CORRECTION,
    DIGITS,
    PURCHASE,
    SCALE,
    TAX,
    USAGE,
    Column,
    Kind,
    Row,
)
from steward.costs.money import exactly, total

_UNIT = Decimal(1).scaleb(-SCALE)
#: Pairs of which one is null exactly when the other is.
_TOGETHER = (
    ("PricingQuantity", "PricingUnit"),
    ("ConsumedQuantity", "ConsumedUnit"),
    ("SubAccountId", "SubAccountName"),
    ("CommitmentDiscountId", "CommitmentDiscountCategory"),
    ("CommitmentDiscountId", "CommitmentDiscountType"),
    ("CommitmentDiscountQuantity", "CommitmentDiscountUnit"),
)
#: Null in a tax; there in a usage or purchase that is no correction.
_PRICED = ("PricingQuantity", "ListUnitPrice", "ContractedUnitPrice", "PricingCategory", "SkuId", "SkuPriceId")
_PERIODS = (("BillingPeriodStart", "BillingPeriodEnd"), ("ChargePeriodStart", "ChargePeriodEnd"))
#: A name on the left has one and only one on the right.
_ONE_OF = (
    ("ServiceName", "ServiceCategory"),
    ("ServiceSubcategory", "ServiceCategory"),
    ("SkuPriceId", "SkuId"),
    ("SkuPriceId", "SkuPriceDetails"),
    ("SkuId", "SkuMeter"),
    ("SubAccountId", "BillingAccountId"),
    ("InvoiceId", "BillingAccountId"),
    ("InvoiceId", "InvoiceIssuerName"),
    ("InvoiceId", "BillingCurrency"),
)


def check_focus(rows: Iterable[Row], payable: Mapping[str, Decimal] | None = None) -> list[str]:
    """What is wrong, row by row, from 1; nothing: they are a dataset. *payable*: what is to be paid for each invoice."""
    kept = list(rows)
    found = [f"row {number}: {told}" for number, row in enumerate(kept, 1) for told in _wrong(row)]
    # Rows that are none say nothing of each other.
    return found or [*_relations(kept), *_invoices(kept, payable)]


def _wrong(row: Row) -> list[str]:
    """Each rule counts on those before it: a text has no price to be multiplied with."""
    return list(_columns(row)) or list(_values(row)) or [told for rule in _RULES for told in rule(row)]


def _columns(row: Row) -> Iterator[str]:
    for column in COLUMNS:
        if column.name not in row:
            yield f"{column.name} is not there"
    custom = False
    for name in row:
        if name not in BY_NAME and not name.startswith("x_"):
            yield f"{name} is no column of FOCUS 1.2: columns of one's own begin with x_"
        if custom and not name.startswith("x_"):
            yield f"{name} stands behind a column of our own"
        custom = custom or name.startswith("x_")


def _values(row: Row) -> Iterator[str]:
    for name, value in row.items():
        column = BY_NAME.get(name, Column(name))
        if value is None:
            if not column.nullable:
                yield f"{name} is null"
        elif (told := _FORMATS[column.kind](value)) is not None:
            yield f"{name} is {value!r}, {told}"
        elif column.allowed and value not in column.allowed:
            yield f"{name} is {value!r}, none of {', '.join(sorted(column.allowed))}"


def _text(value: object) -> str | None:
    if not isinstance(value, str):
        return "expected a text"
    return None if value.strip() else "expected null where there is nothing to say"


def _decimal(value: object) -> str | None:
    if not isinstance(value, Decimal) or not value.is_finite():
        return "expected a decimal number"
    with exactly():
        exponent = cast("int", value.normalize().as_tuple().exponent)
    fits = value.adjusted() < DIGITS - SCALE and exponent >= -SCALE
    return None if fits else f"expected at most {SCALE} digits behind the point and {DIGITS} in all"


def _time(value: object) -> str | None:
    is_utc = isinstance(value, dt.datetime) and value.utcoffset() == dt.timedelta(0)
    return None if is_utc else "expected a moment in UTC"


def _pairs(value: object) -> str | None:
    try:
        told: object = json.loads(value, object_pairs_hook=_once) if isinstance(value, str) else None
    except ValueError:
        told = None
    if not isinstance(told, dict):
        return "expected a JSON object without a name twice"
    plain = all(isinstance(each, str | int | float | bool | None) for each in cast("dict[str, object]", told).values())
    return None if plain else "expected plain values"


_FORMATS: Mapping[Kind, Callable[[object], str | None]] = {
    Kind.TEXT: _text,
    Kind.DECIMAL: _decimal,
    Kind.TIME: _time,
    Kind.PAIRS: _pairs,
}


def _once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    if len(found := dict(pairs)) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _null_together(row: Row) -> Iterator[str]:
    for one, other in _TOGETHER:
        if (row[one] is None) != (row[other] is None):
            null, there = (one, other) if row[one] is None else (other, one)
            yield f"{null} is null, {there} is not"
    if row["SkuMeter"] is not None and row["SkuId"] is None:
        yield "SkuId is null, SkuMeter is not"
    if row["SkuPriceDetails"] is not None and row["SkuPriceId"] is None:
        yield "SkuPriceId is null, SkuPriceDetails is not"


def _null_by_category(row: Row) -> Iterator[str]:
    category, corrects = row["ChargeCategory"], row["ChargeClass"] == CORRECTION
    for name in _PRICED:
        if category == TAX and row[name] is not None:
            yield f"{name} of a tax is not null"
        if category in {USAGE, PURCHASE} and not corrects and row[name] is None:
            yield f"{name} of a {category} is null"
    unused = row["CommitmentDiscountStatus"] == "Unused"
    if row["ConsumedQuantity"] is not None and (category != USAGE or unused):
        yield f"ConsumedQuantity of a {category} is not null"
    if row["ConsumedQuantity"] is None and category == USAGE and not unused and not corrects:
        yield "ConsumedQuantity of a Usage is null"
    if category == PURCHASE and row["ChargeFrequency"] == "Usage-Based":
        yield "ChargeFrequency of a Purchase is Usage-Based"


def _products(row: Row) -> Iterator[str]:
    """Costs are price by quantity, to the last digit; without a price they are what is billed, but for taxes."""
    for kind in ("List", "Contracted"):
        cost, price, quantity = row[f"{kind}Cost"], row[f"{kind}UnitPrice"], row["PricingQuantity"]
        if not isinstance(cost, Decimal):
            continue
        if isinstance(price, Decimal) and price < 0:
            yield f"{kind}UnitPrice is {price}, less than 0"
        if price is None and row["ChargeCategory"] != TAX and cost != row["BilledCost"]:
            yield f"{kind}Cost is {cost} of no price, and {row['BilledCost']} is billed"
        if isinstance(price, Decimal) and isinstance(quantity, Decimal) and row["ChargeClass"] != CORRECTION:
            with exactly():
                worth = price * quantity
                differs = abs(worth - cost) > _UNIT
            if differs:
                yield f"{kind}Cost is {cost}, price by quantity {worth}"
    if row["ChargeCategory"] not in {USAGE, PURCHASE, TAX} and row["EffectiveCost"] != row["BilledCost"]:
        yield f"EffectiveCost of a {row['ChargeCategory']} is {row['EffectiveCost']}, and {row['BilledCost']} is billed"


def _periods(row: Row) -> Iterator[str]:
    for first, last in _PERIODS:
        start, end = row[first], row[last]
        if isinstance(start, dt.datetime) and isinstance(end, dt.datetime) and not start < end:
            yield f"{last} is {end}, not after {first}"


def _currency(row: Row) -> Iterator[str]:
    code = row["BillingCurrency"]
    if not (isinstance(code, str) and len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()):  # noqa: PLR2004  ISO 4217
        yield f"BillingCurrency is {code!r}, expected a code of ISO 4217"


def _commitments(row: Row) -> Iterator[str]:
    named, status = row["CommitmentDiscountId"] is not None, row["CommitmentDiscountStatus"]
    if status is not None and not named:
        yield "CommitmentDiscountStatus of no commitment is not null"
    if named and status is None and row["ChargeCategory"] == USAGE:
        yield "CommitmentDiscountStatus of a Usage under a commitment is null"
    if named and row["ChargeCategory"] == USAGE and row["PricingCategory"] != "Committed":
        yield f"PricingCategory of a Usage under a commitment is {row['PricingCategory']!r}"
    if not named and row["PricingCategory"] == "Committed":
        yield "PricingCategory is Committed, and CommitmentDiscountId null"


_RULES: Sequence[Callable[[Row], Iterator[str]]] = (
    _null_together,
    _null_by_category,
    _products,
    _periods,
    _currency,
    _commitments,
)


def _relations(rows: Sequence[Row]) -> Iterator[str]:
    for one, other in _ONE_OF:
        found = defaultdict[object, set[object]](set)
        for row in rows:
            if row[one] is not None:
                found[row[one]].add(row[other])
        for name, others in found.items():
            if len(others) > 1:
                yield f"{one} {name} has {len(others)} of {other}: {', '.join(sorted(map(str, others)))}"


def _invoices(rows: Sequence[Row], payable: Mapping[str, Decimal] | None) -> Iterator[str]:
    sums = defaultdict[object, list[Decimal]](list)
    for row in rows:
        if row["InvoiceId"] is not None:
            sums[row["InvoiceId"]].append(cast("Decimal", row["BilledCost"]))
    for invoice in sorted({*map(str, sums), *(payable or {})} if payable is not None else ()):
        due, billed = (payable or {}).get(invoice), total(sums.get(invoice, []))
        if due != billed:
            yield f"InvoiceId {invoice} is billed {billed}, and {due} is payable"
