from decimal import Decimal

import pytest

from steward.costs.causes import Cause
from steward.costs.period import Period
from steward.costs.statements.statement import state
from steward.verdicts import Verdict
from tests.unit.costs.statement_samples import FIRST, MONTH, OPENAI, charge, day, invoice, line, month, result

WHOLE = Period.of_month(MONTH)
#: 31 days of ten dollars: what the invoice has where nothing differs.
SAME = "310.00"


def against(bill, changed=None, earlier=(), **common):
    statement = state(WHOLE, [OPENAI], month(changed, **common), invoices=[bill], earlier=earlier)
    assert statement.figures is not None
    return statement, {each.cause: each.amount for each in statement.figures.causes}


def test_an_invoice_that_is_as_reported_adds_no_cause():
    statement, causes = against(invoice([line(SAME)]))
    assert causes == {}
    assert statement.verdict is Verdict.VERIFIED


@pytest.mark.parametrize(("reported", "rounded"), [("10.004", "-0.004"), ("10.005", "-0.005"), ("9.996", "0.004")])
def test_half_a_cent_of_a_line_is_rounding(reported, rounded):
    statement, causes = against(invoice([line(SAME)]), {1: result(ledger=reported)})
    assert causes == {Cause.ROUNDING: Decimal(rounded)}
    assert statement.verdict is Verdict.VERIFIED


def test_more_than_half_a_cent_of_a_line_is_none():
    statement, causes = against(invoice([line(SAME)]), {1: result(ledger="10.0050001")})
    assert causes == {}
    assert statement.verdict is Verdict.REFUTED


def test_each_line_may_be_rounded_and_no_more_than_that():
    two = [line("155.00"), line("155.00", long_context=True)]
    _, causes = against(invoice(two), {1: result(ledger="10.01")})
    assert causes == {Cause.ROUNDING: Decimal("-0.01")}
    statement, causes = against(invoice(two), {1: result(ledger="10.0100001")})
    assert causes == {}
    assert statement.figures.unexplained == Decimal("-0.0100001")
    assert statement.verdict is Verdict.REFUTED


def test_an_item_of_less_than_half_a_cent_may_be_on_no_invoice():
    tiny = result(ledger="10.004", charges=[charge("10"), charge("0.004", model="luna")])
    _, causes = against(invoice([line(SAME)]), {1: tiny})
    assert causes == {Cause.ROUNDING: Decimal("-0.004")}


def test_what_an_invoice_has_and_no_report_is_never_called_rounding_or_restated():
    statement, causes = against(invoice([line(SAME), line("2.00", model="luna")]))
    assert causes == {}
    assert statement.figures.unexplained == 2
    assert statement.verdict is Verdict.REFUTED
    assert "openai-main, invoice, proj_1, luna, default, output: +$2.00 against every reading" in str(
        statement.findings
    )


def test_only_a_reading_that_said_so_makes_a_difference_a_restatement():
    # Ten dollars when the invoice was made; two of them were taken back afterwards.
    restated = {1: result(ledger="8")}
    statement, causes = against(invoice([line(SAME)]), restated, earlier=[result(reading="T+3")])
    assert causes == {Cause.RESTATED: Decimal(2)}
    assert statement.figures.unexplained == 0
    statement, causes = against(invoice([line(SAME)]), restated)
    assert causes == {}
    assert statement.verdict is Verdict.REFUTED


def test_an_invoice_may_be_made_between_two_readings():
    # T+1 said 7, T+35 says 12; the invoice was made when 9 and a rounded bit were known.
    late = {1: result(ledger="12")}
    _, causes = against(invoice([line("309.00")]), late, earlier=[result(ledger="7", reading="T+1")])
    assert causes == {Cause.RESTATED: Decimal(-3)}


def test_what_readings_have_moved_by_explains_no_more_than_that():
    late = {1: result(ledger="12")}
    statement, causes = against(invoice([line("300.00")]), late, earlier=[result(ledger="7", reading="T+1")])
    assert causes == {}
    assert statement.figures.unexplained == -12


def test_a_restatement_leaves_the_rounding_of_its_line():
    restated = {1: result(ledger="8")}
    before = [result(ledger="10.004", reading="T+3")]
    _, causes = against(invoice([line("310.00")]), restated, earlier=before)
    assert causes == {Cause.RESTATED: Decimal("2.004"), Cause.ROUNDING: Decimal("-0.004")}


def test_items_do_not_make_up_for_each_other():
    two = [line("312.00"), line("0.00", model="luna")]
    moved = result(charges=[charge("8"), charge("2", model="luna")])
    statement, causes = against(invoice(two), {1: moved})
    assert causes == {}
    assert statement.figures.unexplained == 2
    assert statement.figures.unexplained_daily == 6


def test_searches_are_one_item_whatever_model_made_them():
    searched = result(ledger="10.50", charges=[charge("10"), charge("0.50", model="", tier="", item="web_searches")])
    lines = [line(SAME), line("0.20", **{"class": "web_search"}), line("0.30", model="luna", **{"class": "web_search"})]
    statement, causes = against(invoice(lines), {1: searched})
    assert causes == {}
    assert statement.figures.unexplained_daily == 0


def test_credits_and_tax_are_below_the_line_and_no_variance():
    bill = invoice([line(SAME)], granted="-100.00", applied="-100.00", tax_rate="0.19", tax="39.90")
    statement, causes = against(bill)
    assert causes == {Cause.CREDIT: Decimal("-100.00"), Cause.TAX: Decimal("39.90")}
    assert statement.figures.payable == Decimal("249.90")
    assert statement.figures.billed == Decimal("310.00")
    assert statement.figures.variance == 0
    assert statement.verdict is Verdict.VERIFIED


def test_a_credit_over_everything_does_not_turn_a_small_variance_into_a_large_one():
    bill = invoice([line("312.00")], granted="-400.00", applied="-312.00")
    statement, _ = against(bill, {1: result(ledger="10", billed="12", shares=(), charges=[charge("12")])}, ())
    assert statement.figures.payable == 0
    assert statement.figures.variance == 2


def test_other_readings_may_say_the_same():
    _, causes = against(invoice([line(SAME)]), earlier=[result(FIRST, reading="T+1"), result(day(2), reading="T+1")])
    assert causes == {}
