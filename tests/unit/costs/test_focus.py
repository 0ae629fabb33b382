"""An invoice's rows add up to what is paid for it, and a restatement stands beside what it restates."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pytest

from steward.costs.errors import PriceUnknown
from steward.costs.focus.rows import FocusInvalid, focus_rows
from steward.costs.focus.rules import check_focus
from steward.costs.pricing.prices import load_prices
from tests.unit.costs.focus_ground import ACCOUNT, DAYS, LUNA, SOME, bill, invoiced, line, month, read, used

BOOK = load_prices(None)
D = Decimal


def rows_of(*bills, invoiced=None, account=ACCOUNT):
    rows = focus_rows(account, bills, BOOK, invoiced)
    assert check_focus(rows, {invoiced.invoice.number: invoiced.invoice.payable} if invoiced else {}) == []
    return rows


def told(rows, *names):
    return [tuple(row[name] for name in names) for row in rows]


def test_the_rows_of_an_invoice_add_up_to_what_has_to_be_paid() -> None:
    rows = rows_of(*month(*SOME), invoiced=invoiced())
    assert told(rows, "ChargeCategory", "BilledCost") == [
        ("Usage", D("0.002468")),
        ("Usage", D("0.05678")),
        ("Usage", D(14)),
        ("Adjustment", D("-0.002468")),
        ("Adjustment", D("0.00322")),
        ("Credit", D("-4.06")),
        ("Tax", D("1.90")),
    ]
    assert {row["InvoiceId"] for row in rows} == {"INV-1"}
    assert sum(row["BilledCost"] for row in rows) == D("11.90")


def test_each_row_says_what_was_used_when_at_which_price() -> None:
    row = rows_of(*month(*SOME), invoiced=invoiced())[1]
    assert {name: value for name, value in row.items() if value is not None} == {
        "BilledCost": D("0.05678"),
        "EffectiveCost": D("0.05678"),
        "ListCost": D("0.05678"),
        "ContractedCost": D("0.05678"),
        "BillingAccountId": "org-1",
        "BillingAccountName": "Platform",
        "BillingCurrency": "USD",
        "BillingPeriodStart": dt.datetime(2026, 10, 1, tzinfo=dt.UTC),
        "BillingPeriodEnd": dt.datetime(2026, 11, 1, tzinfo=dt.UTC),
        "ChargePeriodStart": dt.datetime(2026, 10, 3, tzinfo=dt.UTC),
        "ChargePeriodEnd": dt.datetime(2026, 10, 4, tzinfo=dt.UTC),
        "ChargeCategory": "Usage",
        "ChargeDescription": "claude-sonnet-5-5, Output Tokens, tier standard, short prompts at $10 for 1000000 Tokens",
        "ChargeFrequency": "Usage-Based",
        "InvoiceId": "INV-1",
        "InvoiceIssuerName": "Anthropic",
        "ProviderName": "Anthropic",
        "PublisherName": "Anthropic",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI",
        "ServiceName": "Claude API",
        "SubAccountId": "wrkspc_1",
        "SubAccountName": 'Search, "new"',
        "SkuId": "claude-sonnet-5-5/output",
        "SkuMeter": "Output Tokens",
        "SkuPriceId": "claude-sonnet-5-5/output/standard/base",
        "SkuPriceDetails": '{"x_ContextSize": "base", "x_Item": "output", "x_Model": "claude-sonnet-5-5", '
        '"x_ServiceTier": "standard"}',
        "PricingCategory": "Standard",
        "PricingQuantity": D("0.005678"),
        "PricingUnit": "1000000 Tokens",
        "ListUnitPrice": D(10),
        "ContractedUnitPrice": D(10),
        "ConsumedQuantity": D(5678),
        "ConsumedUnit": "Tokens",
        "x_ReadAt": read(1),
    }


def test_rounding_is_told_from_an_invoice_that_says_something_else() -> None:
    rows = rows_of(*month(SOME[0]), invoiced=invoiced())
    assert told(rows[2:4], "ChargeDescription", "BilledCost", "SubAccountId") == [
        (
            "wrkspc_1, claude-sonnet-5-5, standard, input_uncached: invoiced other than reported",
            D("13.997532"),
            "wrkspc_1",
        ),
        ("wrkspc_1, claude-sonnet-5-5, standard, output: rounding to cents", D("0.00322"), "wrkspc_1"),
    ]


@pytest.mark.parametrize(
    ("amounts", "said"),
    [
        # For output of $0.05678: within half a cent, a cent more, and on two lines that were rounded each for itself.
        ({"base": "0.06"}, "rounding to cents"),
        ({"base": "0.07"}, "invoiced other than reported"),
        ({"base": "0.05", "long": "0.00"}, "rounding to cents"),
        ({"base": "0.03", "long": "0.02"}, "rounding to cents"),
        ({"base": "0.03", "long": "0.01"}, "invoiced other than reported"),
    ],
)
def test_rounding_is_half_a_cent_a_line_at_most(amounts, said) -> None:
    first, last = invoiced().invoice.lines
    lines = [last.model_copy(update={"context": size, "amount": D(amount)}) for size, amount in amounts.items()]
    subtotal = first.amount + sum(each.amount for each in lines)
    bill_ = invoiced(lines=(first, *lines), subtotal=subtotal, credit=D(0), tax=D(0), payable=subtotal)
    rows = rows_of(*month(*SOME), invoiced=bill_)
    assert [row["ChargeDescription"].rpartition(": ")[2] for row in rows if row["ChargeCategory"] == "Adjustment"] == [
        "rounding to cents",
        said,
    ]


def test_without_an_invoice_rows_belong_to_none() -> None:
    rows = rows_of(*SOME)
    assert told(rows, "InvoiceId", "ChargeClass", "ChargeCategory") == [(None, None, "Usage")] * 3


def test_a_discount_is_between_list_and_contracted_price_of_charges_and_tax() -> None:
    discounted = [
        replace(each, lines=tuple(replace(one, amount=one.amount * D("0.9")) for one in each.lines)) for each in SOME
    ]
    lines = [
        each.model_copy(update={"amount": amount})
        for each, amount in zip(invoiced().invoice.lines, (D("12.60"), D("0.05")), strict=True)
    ]
    bill_ = invoiced(
        lines=tuple(lines), subtotal=D("12.65"), credits=(), credit=D(0), tax=D("2.40"), payable=D("15.05")
    )
    rows = rows_of(*month(*discounted), invoiced=bill_, account=replace(ACCOUNT, discount=D("0.1")))
    assert told(rows[:1], "ListUnitPrice", "ListCost", "ContractedUnitPrice", "ContractedCost", "BilledCost") == [
        (D(2), D("0.002468"), D("1.8"), D("0.0022212"), D("0.0022212"))
    ]
    # Rounding is of no price: -0.0022212 and -0.001102 on either side.
    assert told(rows[-1:], "BilledCost", "EffectiveCost") == [(D("2.40"), D("2.40"))]
    listed, contracted = D("14.059248") - D("0.0033232"), D("12.65")
    assert rows[-1]["ListCost"] == (listed * D("2.40") / D("12.65")).quantize(D("1E-12"))
    assert rows[-1]["ContractedCost"] == contracted * D("2.40") / D("12.65")


def test_a_restatement_adds_rows_and_changes_none() -> None:
    day = DAYS[2]
    before_invoice = bill(
        day,
        [line("input_uncached", "0.002468"), line("output", "0.06")],
        [used(day, "input_uncached", 1_234), used(day, "output", 6_000)],
        after=1,
    )
    before_invoice = replace(before_invoice, read_at=read(1) + dt.timedelta(hours=1))
    after_invoice = bill(
        day,
        [line("output", "0.06"), line("web_searches", "0.02")],
        [used(day, "output", 6_000), used(day, "web_searches", 2)],
        after=35,
    )
    first = rows_of(*month(*SOME), invoiced=invoiced())
    rows = rows_of(*month(*SOME), after_invoice, before_invoice, invoiced=invoiced())
    assert [row for row in rows if row["ChargeCategory"] == "Usage" and row in first] == first[:3]
    added = [row for row in rows if row["ChargeCategory"] == "Usage" and row not in first]
    columns = ("SkuMeter", "ChargeClass", "BilledCost", "ConsumedQuantity", "InvoiceId", "x_ReadAt")
    assert told(added, *columns) == [
        ("Output Tokens", None, D("0.00322"), D(322), "INV-1", before_invoice.read_at),
        ("Web Searches", "Correction", D("0.02"), D(2), None, after_invoice.read_at),
        ("Input Tokens", "Correction", D("-0.002468"), D(-1_234), None, after_invoice.read_at),
    ]
    # A correction belongs to the month in which it was stated, and to the day that it corrects.
    assert told(added[1:2], "BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart") == [
        (
            dt.datetime(2026, 12, 1, tzinfo=dt.UTC),
            dt.datetime(2027, 1, 1, tzinfo=dt.UTC),
            dt.datetime(2026, 10, 3, tzinfo=dt.UTC),
        )
    ]
    assert sum(row["BilledCost"] for row in rows if row["InvoiceId"]) == D("11.90")


def test_a_reading_that_states_the_same_adds_nothing() -> None:
    again = [replace(each, read_at=read(35)) for each in SOME]
    assert rows_of(*month(*SOME), *again, invoiced=invoiced()) == rows_of(*month(*SOME), invoiced=invoiced())


def test_usage_of_neighbouring_days_is_not_counted_and_minutes_are() -> None:
    edges = [dt.timedelta(hours=-1), dt.timedelta(), dt.timedelta(hours=23, minutes=59), dt.timedelta(days=1)]
    usage = [used(DAYS[2], "output", 10**number, at=at) for number, at in enumerate(edges)]
    rows = rows_of(bill(DAYS[2], [line("output", "0.0011")], usage))
    assert told(rows, "ConsumedQuantity") == [(D(110),)]


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        # 300,000 tokens of input at $0.1 a million, at $0.2 in long prompts.
        ("0.03", [("base", 300_000, "0.03")]),
        ("0.058", [("base", 20_000, "0.002"), ("long", 280_000, "0.056")]),
        ("0.06", [("long", 300_000, "0.06")]),
        # Nothing between the two prices comes to these: it was billed at another one.
        ("0.029", [("base", 300_000, "0.029")]),
        ("0.0580000613", [("base", 300_000, "0.0580000613")]),
        ("0.07", [("base", 300_000, "0.07")]),
        # Digits that a report has lost.
        ("0.0600000000012", [("long", 300_000, "0.060000000001")]),
    ],
)
def test_long_prompts_are_told_apart_by_what_they_came_to(amount, expected) -> None:
    lines = [line("input_uncached", amount, model=LUNA, quantity=300_000)]
    usage = [used(DAYS[0], "input_uncached", 300_000, model=LUNA)]
    rows = rows_of(bill(DAYS[0], lines, usage, provider="openai"))
    assert [(row["SkuPriceId"].rpartition("/")[2], row["ConsumedQuantity"], row["BilledCost"]) for row in rows] == [
        (context, quantity, D(billed)) for context, quantity, billed in expected
    ]
    assert {row["x_ApiKeyId"] for row in rows} == {"key_1"}


def test_what_no_list_prices_by_the_unit_is_one_unit_at_what_it_came_to() -> None:
    rows = rows_of(bill(DAYS[0], [line("Code Execution Usage", "1.25", model=""), line("Refund", "-0.5", model="")]))
    columns = ("SkuId", "PricingQuantity", "PricingUnit", "ListUnitPrice", "BilledCost", "ListCost")
    assert told(rows, *columns) == [
        ("Code Execution Usage", D(1), "Units", D("1.25"), D("1.25"), D("1.25")),
        ("Refund", D(-1), "Units", D("0.5"), D("-0.5"), D("-0.5")),
    ]


def test_a_line_without_usage_has_as_much_as_it_pays_for() -> None:
    assert told(rows_of(bill(DAYS[0], [line("output", "0.05")])), "ConsumedQuantity") == [(D(5_000),)]


def test_an_amount_for_nothing_is_not_lost() -> None:
    rows = rows_of(bill(DAYS[0], [line("output", "0.25", model=LUNA, quantity=0)], provider="openai"))
    assert told(rows, "ConsumedQuantity", "BilledCost", "ListCost") == [(D(0), D("0.25"), D(0))]


def test_what_is_agreed_to_cost_nothing_costs_nothing() -> None:
    free = replace(ACCOUNT, discount=D(1))
    rows = rows_of(bill(DAYS[0], [line("output", "0", model=LUNA, quantity=7)], provider="openai"), account=free)
    assert told(rows, "ConsumedQuantity", "BilledCost", "ContractedCost") == [(D(7), D(0), D(0))]


def test_two_lines_of_one_thing_are_one_row() -> None:
    lines = [line("output", "0.01", model=LUNA, quantity=20_000), line("output", "0.02", model=LUNA, quantity=40_000)]
    rows = rows_of(bill(DAYS[0], lines, provider="openai"))
    assert told(rows, "ConsumedQuantity", "BilledCost") == [(D(60_000), D("0.03"))]


def test_a_charge_without_a_price_stops_everything() -> None:
    with pytest.raises(PriceUnknown, match="claude-9"):
        focus_rows(ACCOUNT, [bill(DAYS[0], [line("output", "0.01", model="claude-9")])], BOOK)


@pytest.mark.parametrize(
    ("bills", "said"),
    [
        (month(*SOME)[:-1], "no reading of 2026-10-31 is as old as it"),
        ([*month(*SOME)[:-1], bill(DAYS[30], after=35)], "no reading of 2026-10-31 is as old as it"),
        ([*month(*SOME), bill(dt.date(2026, 11, 1), after=35)], "a reading of 2026-11-01 is not"),
        ([replace(each, account="other") for each in month()], "a reading of 2026-10-01 is not"),
        (month(provider="openai"), "a reading of 2026-10-01 is not"),
        ([*month(), replace(bill(DAYS[3], after=3), account="other")], "main and other are two accounts"),
        ([*month(*SOME), SOME[1]], "main on 2026-10-04 is there twice"),
    ],
)
def test_readings_that_are_not_the_invoice_s_are_refused(bills, said) -> None:
    with pytest.raises(FocusInvalid, match=said):
        focus_rows(ACCOUNT, bills, BOOK, invoiced())
