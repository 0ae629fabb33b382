import json
from decimal import Decimal

import pytest

from replica.providers.billing.invoices import invoice as twins_invoice
from replica.providers.billing.prices import Prices
from replica.providers.billing.usage import Held, Usage
from replica.providers.configuration import Account
from steward.costs.statements.invoices import InvoiceUnusable, read_invoice
from tests.unit.costs.statement_samples import MONTH, OPENAI, invoice, invoice_json, line

#: 12.00 + 3.01, less 5.00 of credits, and 19 % on the 10.01: 1.9019.
LINES = [line("12.00"), line("3.01", **{"class": "input"})]
BELOW = {"granted": "-5.00", "applied": "-5.00", "tax_rate": "0.19", "tax": "1.90"}


def read(body):
    return read_invoice(body, account=OPENAI, provider="openai", month=MONTH)


def test_an_invoice_says_what_has_to_be_paid_and_of_which_classes():
    found = read(invoice_json(LINES, **BELOW))
    assert (found.subtotal, found.credit, found.tax, found.payable) == (
        Decimal("15.01"),
        Decimal("-5.00"),
        Decimal("1.90"),
        Decimal("11.91"),
    )
    assert [each.item for each in found.lines] == ["output", "input_uncached"]
    assert found.credits == ("Promotional credit",)


def test_the_providers_twin_writes_an_invoice_that_can_be_read():
    def usage(model, tier, *tokens, searches=0, long=False):
        provider = "anthropic" if model.startswith("claude") else "openai"
        return Usage(1_791_000_000, provider, "main", "proj_1", "k", "", model, tier, long, 1, *tokens, searches)

    source = Held(
        [
            usage("gpt-6.1-sol", "default", 1_000_000, 200_000, 0, 0, 50_000, 90_000),
            usage("gpt-6.1-sol", "default", 900_000, 0, 0, 0, 0, 1, long=True),
            usage("claude-sonnet-5-5", "standard", 33_333, 22_222, 11_111, 7_777, 0, 5_555, searches=13),
        ],
        as_of=2e9,
    )
    granted = [{"description": "welcome", "amount": "1.00"}]
    for provider in ("openai", "anthropic"):
        told = twins_invoice(Prices(), source, Account("main", provider, "org", ""), MONTH, granted)
        found = read_invoice(json.dumps(told).encode(), account="main", provider=provider, month=MONTH)
        assert str(found.payable) == told["total"]
        assert found.lines
        assert {each.item for each in found.lines} <= {
            "input_uncached",
            "input_cached",
            "cache_write",
            "cache_write_5m",
            "cache_write_1h",
            "output",
            "web_searches",
        }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"subtotal": "15.02"}, "lines add up to 15.01, and its subtotal is 15.02"),
        ({"total": "11.92"}, "add up to 11.91, and its total is 11.92"),
        ({"tax": "1.91", "total": "11.92"}, "its tax is 1.91"),
        ({"tax_rate": "0.07"}, "its tax is 1.90"),
        ({"credits_applied": "-5.01", "total": "11.90"}, "credits of -5.01 are applied, of -5.00"),
        ({"credits": []}, "credits of -5.00 are applied, of 0"),
        ({"currency": "EUR"}, "currency is EUR, expected USD"),
        ({"issuer": "anthropic"}, "issuer is anthropic, expected openai"),
        ({"period_start": "2026-09-01T00:00:00Z"}, "period_start is 2026-09-01"),
        ({"period_end": "2026-10-31T00:00:00Z"}, "period_end is 2026-10-31"),
        ({"total": 11.91}, "total"),
        ({"subtotal": "15.010001"}, "15.010001 is no amount in whole cents"),
        ({"tax": "NaN"}, "'NaN' is no amount"),
        ({"tax": "1E+999999999"}, "is no amount"),
        ({"surcharge": "1.00"}, "surcharge"),
        ({"lines": [LINES[0], LINES[0]], "subtotal": "24.00", "tax": "3.61", "total": "22.61"}, "is there twice"),
        ({"lines": [line("12.00", quantity="1")]}, "quantity"),
        ({"lines": [line(12)]}, "amount"),
        ({"lines": [{"amount": "12.00"}]}, "Field required"),
    ],
)
def test_an_invoice_that_does_not_add_up_or_is_another_is_refused(change, reason):
    told = json.loads(invoice_json(LINES, **BELOW)) | change
    if "lines" in change and "subtotal" not in change:
        told |= {"subtotal": "12.00"}
    with pytest.raises(InvoiceUnusable) as refused:
        read(json.dumps(told).encode())
    assert reason in refused.value.message
    assert refused.value.hint


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"\xff", invoice_json(LINES, **BELOW)[:-20], b'{"tax": "1", "tax": "2"}']
)
def test_a_file_that_is_cut_or_no_invoice_is_refused(body):
    with pytest.raises(InvoiceUnusable, match="HINT"):
        read(body)


def test_more_than_the_lines_is_never_credited():
    found = invoice([line("12.00")], granted="-250.00", applied="-12.00")
    assert found.payable == 0
    told = json.loads(invoice_json([line("12.00")], granted="-250.00", applied="-12.00"))
    told |= {"credits_applied": "-12.01", "total": "-0.01"}
    with pytest.raises(InvoiceUnusable, match=r"credits of -12\.01"):
        read(json.dumps(told).encode())
