"""Each requirement finds the row that breaks it, and nothing else."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from steward.costs.focus.columns import COLUMNS
from steward.costs.focus.rows import focus_rows
from steward.costs.focus.rules import check_focus
from steward.costs.pricing.prices import load_prices
from tests.unit.costs.focus_ground import ACCOUNT, DAYS, SOME, bill, invoiced, line, month, used

D = Decimal
#: As the specification's pages of columns have them at version 1.2 (feature level: mandatory).
MANDATORY = {
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
    "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost",
    "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName",
    "ServiceCategory", "ServiceName",
}  # fmt: skip
NULLABLE = {"BillingAccountName", "ChargeClass", "PricingQuantity", "PricingUnit"}
#: Rows of `rows()`, from 1.
USAGE, ADJUSTMENT, CREDIT, TAX, CORRECTION = 1, 4, 6, 7, 8
ABSENT = object()


def rows() -> list[dict[str, object]]:
    late = bill(DAYS[2], [line("output", "0.05678")], [used(DAYS[2], "output", 5_678)], after=35)
    made = focus_rows(ACCOUNT, [*month(*SOME), late], load_prices(None), invoiced())
    # In an order that the numbers above can count on.
    corrections = [dict(row) for row in made if row["ChargeClass"]]
    return [*(dict(row) for row in made if not row["ChargeClass"]), *corrections]


def broken(number: int, changes: dict[str, object]) -> list[dict[str, object]]:
    all_rows = rows()
    row = {**all_rows[number - 1], **changes}
    all_rows[number - 1] = {name: value for name, value in row.items() if value is not ABSENT}
    return all_rows


def test_rows_as_they_are_made_break_nothing() -> None:
    assert check_focus(rows(), {"INV-1": D("11.90")}) == []
    assert [row["ChargeCategory"] for row in rows()] == [*["Usage"] * 3, *["Adjustment"] * 2, "Credit", "Tax", "Usage"]


def test_all_mandatory_columns_are_there_and_null_where_they_may_be() -> None:
    assert {column.name for column in COLUMNS if column.mandatory} == MANDATORY
    assert {column.name for column in COLUMNS if column.mandatory and column.nullable} == NULLABLE
    for column in COLUMNS:
        wrong = check_focus(broken(USAGE, {column.name: ABSENT}))
        assert wrong == [f"row 1: {column.name} is not there"]
    for name in MANDATORY - NULLABLE:
        assert f"row 1: {name} is null" in check_focus(broken(USAGE, {name: None}))


UTC = dt.datetime(2026, 10, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("number", "changes", "said"),
    [
        (USAGE, {"Region": "eu"}, "Region is no column of FOCUS 1.2"),
        (USAGE, {"x_ReadAt": ABSENT, "ServiceName": ABSENT}, "ServiceName is not there"),
        (USAGE, {"BilledCost": 0.5}, "BilledCost is 0.5, expected a decimal number"),
        (USAGE, {"BilledCost": D("NaN")}, "BilledCost is Decimal('NaN'), expected a decimal number"),
        (USAGE, {"PricingQuantity": D("1E-13")}, "expected at most 12 digits behind the point and 38 in all"),
        (USAGE, {"PricingQuantity": D("1E26")}, "expected at most 12 digits behind the point and 38 in all"),
        (USAGE, {"SkuId": " "}, "SkuId is ' ', expected null where there is nothing to say"),
        (USAGE, {"SkuId": 7}, "SkuId is 7, expected a text"),
        (USAGE, {"x_Note": ""}, "x_Note is '', expected null"),
        (USAGE, {"ChargePeriodStart": dt.datetime(2026, 10, 1)}, "expected a moment in UTC"),  # noqa: DTZ001  what is tested
        (USAGE, {"ChargePeriodStart": "2026-10-01T00:00:00Z"}, "expected a moment in UTC"),
        (USAGE, {"ChargePeriodEnd": UTC.astimezone(dt.timezone(dt.timedelta(hours=1)))}, "expected a moment in UTC"),
        (USAGE, {"SkuPriceDetails": "[1]"}, "expected a JSON object"),
        (USAGE, {"SkuPriceDetails": '{"a": {}}'}, "expected plain values"),
        (USAGE, {"SkuPriceDetails": '{"a": 1, "a": 2}'}, "expected a JSON object without a name twice"),
        (USAGE, {"ChargeCategory": "Refund"}, "ChargeCategory is 'Refund', none of Adjustment, Credit"),
        (USAGE, {"ChargeClass": "Restatement"}, "ChargeClass is 'Restatement', none of Correction"),
        (USAGE, {"ChargeFrequency": "Daily"}, "ChargeFrequency is 'Daily', none of"),
        (USAGE, {"ServiceCategory": "AI"}, "ServiceCategory is 'AI', none of"),
        (USAGE, {"ServiceSubcategory": "Bots"}, "ServiceSubcategory is 'Bots', none of"),
        (USAGE, {"PricingCategory": "List"}, "PricingCategory is 'List', none of"),
        (USAGE, {"BillingCurrency": "Dollars"}, "BillingCurrency is 'Dollars', expected a code of ISO 4217"),
        (USAGE, {"BillingCurrency": "usd"}, "BillingCurrency is 'usd', expected a code of ISO 4217"),
        (USAGE, {"BillingPeriodEnd": UTC}, "not after BillingPeriodStart"),
        (USAGE, {"ChargePeriodEnd": UTC}, "not after ChargePeriodStart"),
        (USAGE, {"PricingUnit": None}, "PricingUnit is null, PricingQuantity is not"),
        (TAX, {"PricingUnit": "Units"}, "PricingQuantity is null, PricingUnit is not"),
        (USAGE, {"ConsumedUnit": None}, "ConsumedUnit is null, ConsumedQuantity is not"),
        (USAGE, {"SubAccountName": None}, "SubAccountName is null, SubAccountId is not"),
        (TAX, {"SubAccountName": "Chat"}, "SubAccountId is null, SubAccountName is not"),
        (CREDIT, {"SkuMeter": "Tokens"}, "SkuId is null, SkuMeter is not"),
        (CREDIT, {"SkuPriceDetails": "{}"}, "SkuPriceId is null, SkuPriceDetails is not"),
        (TAX, {"PricingQuantity": D(1), "PricingUnit": "Units"}, "PricingQuantity of a tax is not null"),
        (TAX, {"ListUnitPrice": D(1)}, "ListUnitPrice of a tax is not null"),
        (TAX, {"ContractedUnitPrice": D(1)}, "ContractedUnitPrice of a tax is not null"),
        (TAX, {"PricingCategory": "Standard"}, "PricingCategory of a tax is not null"),
        (TAX, {"SkuId": "tax"}, "SkuId of a tax is not null"),
        (TAX, {"SkuPriceId": "tax"}, "SkuPriceId of a tax is not null"),
        (USAGE, {"ListUnitPrice": None}, "ListUnitPrice of a Usage is null"),
        (USAGE, {"ContractedUnitPrice": None}, "ContractedUnitPrice of a Usage is null"),
        (USAGE, {"PricingQuantity": None, "PricingUnit": None}, "PricingQuantity of a Usage is null"),
        (USAGE, {"PricingCategory": None}, "PricingCategory of a Usage is null"),
        (USAGE, {"SkuId": None, "SkuMeter": None}, "SkuId of a Usage is null"),
        (USAGE, {"SkuPriceId": None, "SkuPriceDetails": None}, "SkuPriceId of a Usage is null"),
        (USAGE, {"ChargeCategory": "Purchase"}, "ConsumedQuantity of a Purchase is not null"),
        (USAGE, {"ChargeCategory": "Purchase"}, "ChargeFrequency of a Purchase is Usage-Based"),
        (CREDIT, {"ConsumedQuantity": D(1), "ConsumedUnit": "Tokens"}, "ConsumedQuantity of a Credit is not null"),
        (USAGE, {"ConsumedQuantity": None, "ConsumedUnit": None}, "ConsumedQuantity of a Usage is null"),
        (USAGE, {"ListUnitPrice": D(-2), "ListCost": D("-0.002468")}, "ListUnitPrice is -2, less than 0"),
        (USAGE, {"ListCost": D("0.002469")}, "ListCost is 0.002469, price by quantity 0.00246800"),
        (USAGE, {"ContractedCost": D("0.002469")}, "ContractedCost is 0.002469, price by quantity"),
        (CREDIT, {"ListCost": D(0)}, "ListCost is 0 of no price, and -4.06 is billed"),
        (ADJUSTMENT, {"ContractedCost": D(0)}, "ContractedCost is 0 of no price, and -0.002468"),
        (CREDIT, {"EffectiveCost": D(0)}, "EffectiveCost of a Credit is 0, and -4.06 is billed"),
        (USAGE, {"CommitmentDiscountStatus": "Used"}, "CommitmentDiscountStatus of no commitment is not null"),
        (USAGE, {"PricingCategory": "Committed"}, "PricingCategory is Committed, and CommitmentDiscountId null"),
        (USAGE, {"CommitmentDiscountId": "c"}, "CommitmentDiscountCategory is null, CommitmentDiscountId is not"),
        (USAGE, {"CommitmentDiscountId": "c"}, "CommitmentDiscountType is null, CommitmentDiscountId is not"),
        (USAGE, {"CommitmentDiscountId": "c"}, "CommitmentDiscountStatus of a Usage under a commitment is null"),
        (USAGE, {"CommitmentDiscountId": "c"}, "PricingCategory of a Usage under a commitment is 'Standard'"),
        (USAGE, {"CommitmentDiscountUnit": "USD"}, "CommitmentDiscountQuantity is null, CommitmentDiscountUnit is not"),
        (
            USAGE,
            {"ServiceCategory": "Web"},
            "ServiceName Claude API has 2 of ServiceCategory: AI and Machine Learning, Web",
        ),
        (USAGE, {"ServiceCategory": "Web"}, "ServiceSubcategory Generative AI has 2 of ServiceCategory"),
        (USAGE, {"SkuId": "another"}, "SkuPriceId claude-sonnet-5-5/input_uncached/standard/base has 2 of SkuId"),
        (
            USAGE,
            {"SkuPriceDetails": "{}"},
            "SkuPriceId claude-sonnet-5-5/input_uncached/standard/base has 2 of SkuPriceDet",
        ),
        (
            USAGE,
            {"SkuMeter": "Tokens"},
            "SkuId claude-sonnet-5-5/input_uncached has 2 of SkuMeter: Input Tokens, Tokens",
        ),
        (USAGE, {"BillingAccountId": "org-2"}, "SubAccountId wrkspc_1 has 2 of BillingAccountId: org-1, org-2"),
        (TAX, {"BillingAccountId": "org-2"}, "InvoiceId INV-1 has 2 of BillingAccountId: org-1, org-2"),
        (TAX, {"InvoiceIssuerName": "OpenAI"}, "InvoiceId INV-1 has 2 of InvoiceIssuerName: Anthropic, OpenAI"),
        (TAX, {"BillingCurrency": "EUR"}, "InvoiceId INV-1 has 2 of BillingCurrency: EUR, USD"),
        (TAX, {"BilledCost": D("1.91")}, "InvoiceId INV-1 is billed 11.91"),
        (TAX, {"InvoiceId": "INV-2"}, "InvoiceId INV-2 is billed 1.90, and None is payable"),
    ],
)
def test_a_row_that_breaks_a_rule_is_found(number, changes, said) -> None:
    wrong = check_focus(broken(number, changes), {"INV-1": D("11.90")})
    assert any(said in each for each in wrong), wrong
    assert {each.partition(":")[0] for each in wrong if each.startswith("row ")} <= {f"row {number}"}


def test_an_invoice_without_a_row_is_not_paid() -> None:
    assert check_focus([], {"INV-9": D("1.00")}) == ["InvoiceId INV-9 is billed 0, and 1.00 is payable"]


def test_a_custom_column_stands_behind_those_of_the_specification() -> None:
    row = rows()[0]
    first = {"x_Note": "here", **row}
    assert "row 1: BilledCost stands behind a column of our own" in check_focus([first])


@pytest.mark.parametrize("changes", [{"ListCost": D(9)}, {"ListUnitPrice": None, "ListCost": D("-0.002468")}])
def test_a_correction_may_differ_from_price_by_quantity(changes) -> None:
    assert check_focus(broken(CORRECTION, changes), {"INV-1": D("11.90")}) == []
