import datetime as dt
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steward.costs.causes import Cause
from steward.costs.period import Period, PeriodInvalid
from steward.costs.results import Gap, LeftOver, Restated
from steward.costs.statements.statement import Statement, StatementInvalid, StatementUnusable, state
from steward.costs.statements.statement_page import cause_table, render_statement
from steward.costs.statements.waterfall import draw_waterfall
from steward.verdicts import Verdict
from tests.unit.costs.statement_samples import (
    ANTHROPIC,
    FIRST,
    MONTH,
    OPENAI,
    charge,
    day,
    dollars,
    invoice,
    line,
    month,
    result,
    share,
)

DAY = Period(first=FIRST, last=FIRST)
WHOLE = Period.of_month(MONTH)
AMOUNTS = st.decimals("-1E6", "1E6", places=12)
SHARES = st.lists(st.builds(share, AMOUNTS, st.sampled_from(list(Cause)[:-5]), agreed=st.booleans()), max_size=4)
DAYS = st.lists(st.tuples(AMOUNTS, AMOUNTS, SHARES), min_size=2, max_size=6)


def of(*results, accounts=(OPENAI,), period=None, **given_too):
    last = max(each.day for each in results)
    return state(period or Period(first=FIRST, last=last), accounts, results, **given_too)


def told(statement):
    assert statement.figures is not None
    return statement.figures


def amounts(statement):
    return {each.cause: each.amount for each in told(statement).causes}


@settings(derandomize=True, deadline=None, max_examples=60)
@given(DAYS)
def test_ledger_causes_and_unexplained_add_up_to_what_is_billed_whatever_the_days(days):
    results = [
        result(day(1 + n // 2), account=(OPENAI, ANTHROPIC)[n % 2], ledger=ledger, billed=billed, shares=shares)
        for n, (ledger, billed, shares) in enumerate(days[: len(days) // 2 * 2])
    ]
    found = told(of(*results, accounts=(OPENAI, ANTHROPIC)))

    explained = sum((Fraction(each.amount) for each in found.causes), Fraction(0))
    assert Fraction(found.ledger) + explained + Fraction(found.unexplained) == Fraction(found.billed)
    assert Fraction(found.billed) == sum(Fraction(each.billed) for each in results)
    left = [
        Fraction(each.billed) - Fraction(each.ledger) - sum(Fraction(one.amount) for one in each.shares)
        for each in results
    ]
    assert Fraction(found.unexplained) == sum(left)
    assert Fraction(found.unexplained_daily) == sum(map(abs, left))
    assert [each.day for each in found.days] == sorted({each.day for each in results})
    assert sum(Fraction(each.billed) for each in found.days) == Fraction(found.billed)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    st.dictionaries(st.integers(1, 31), st.tuples(AMOUNTS, SHARES), max_size=4),
    st.integers(-10_000, 10**9),
    st.integers(0, 10**6),
    st.integers(0, 10**6 - 1),
)
def test_a_months_ledger_and_shares_add_up_to_the_payable_amount_whatever_the_invoice(days, cents, credit, rate):
    changed = {number: result(day(number), ledger=ledger, shares=shares) for number, (ledger, shares) in days.items()}
    credit = min(credit, max(cents, 0))
    tax = round(Fraction(rate * (cents - credit), 10**6))
    applied = dollars(-credit)
    bill = invoice([line(dollars(cents))], granted=applied, applied=applied, tax=dollars(tax), tax_rate=f"0.{rate:06}")
    found = told(state(WHOLE, [OPENAI], month(changed), invoices=[bill]))

    explained = sum((Fraction(each.amount) for each in found.causes), Fraction(0))
    assert Fraction(found.ledger) + explained + Fraction(found.unexplained) == Fraction(cents - credit + tax, 100)
    assert Fraction(found.payable) == Fraction(cents - credit + tax, 100)
    assert Fraction(found.billed) == Fraction(cents, 100)


def test_a_statement_comes_back_from_json_and_one_that_was_altered_does_not():
    statement = of(result(ledger="10", shares=[share("0.05")]))
    assert Statement.from_json(statement.to_json()) == statement
    for altered in (
        statement.to_json().replace(b'"ledger":"10"', b'"ledger":"11"', 1),
        statement.to_json().replace(b'"verdict":"VERIFIED"', b'"verdict":"UNKNOWN"', 1),
        statement.to_json()[:-1],
    ):
        with pytest.raises(StatementUnusable, match="HINT"):
            Statement.from_json(altered)


@pytest.mark.parametrize(
    ("explained", "verdict"), [("0.999999", Verdict.VERIFIED), ("1", Verdict.REFUTED), ("-1", Verdict.REFUTED)]
)
def test_a_variance_of_one_percent_of_the_bill_is_not_borne_however_well_it_is_explained(explained, verdict):
    ledger = Decimal(100) - Decimal(explained)
    statement = of(result(ledger=ledger, billed="100", shares=[share(explained)]))
    assert statement.verdict is verdict
    assert told(statement).unexplained == 0
    assert told(statement).variance == Decimal(explained)


def test_what_was_agreed_is_set_apart_from_the_variance_and_the_same_discount_that_nobody_agreed_is_not():
    def discounted(*, agreed):
        return of(result(ledger="100", shares=[share("-10", Cause.DISCOUNT, agreed=agreed)]))

    assert discounted(agreed=True).verdict is Verdict.VERIFIED
    assert told(discounted(agreed=True)).agreed == -10
    assert told(discounted(agreed=True)).variance == 0
    assert discounted(agreed=False).verdict is Verdict.REFUTED
    assert told(discounted(agreed=False)).variance == -10


def test_what_is_unexplained_refutes_beyond_the_bound_and_not_at_it():
    def with_rest(rest):
        return of(result(ledger="100", billed=Decimal(100) + Decimal(rest), bound=Decimal("0.000002")))

    assert with_rest("0.000002").verdict is Verdict.VERIFIED
    assert with_rest("-0.000002").verdict is Verdict.VERIFIED
    assert with_rest("0.000003").verdict is Verdict.REFUTED
    assert with_rest("-0.000003").verdict is Verdict.REFUTED


def test_days_do_not_make_up_for_each_other():
    statement = of(result(day(1), ledger="100", billed="100.5"), result(day(2), ledger="100", billed="99.5"))
    assert told(statement).unexplained == 0
    assert told(statement).unexplained_daily == 1
    assert statement.verdict is Verdict.REFUTED
    assert statement.findings == (
        "openai-main: $1.00 has no cause, and rounding comes to $0.000002 at most",
        "openai-main, 2026-10-01: +$0.50 has no cause",
        "openai-main, 2026-10-02: -$0.50 has no cause",
    )


def test_a_large_account_does_not_hide_a_small_ones_variance():
    statement = of(
        result(ledger="100000"),
        result(account=ANTHROPIC, ledger="1", shares=[share("1")]),
        accounts=(OPENAI, ANTHROPIC),
    )
    assert statement.verdict is Verdict.REFUTED
    assert [each.verdict for each in told(statement).accounts] == [Verdict.VERIFIED, Verdict.REFUTED]
    assert "anthropic-main: $1.00 more is billed than the ledger has" in statement.findings[0]


def test_a_day_on_which_nothing_was_used_and_nothing_billed_is_verified_and_one_with_a_bill_of_nothing_alone_is_not():
    assert of(result(ledger="0", charges=[])).verdict is Verdict.VERIFIED
    assert of(result(ledger="5", shares=[share("-5")])).verdict is Verdict.REFUTED


def shows_no_amount(statement):
    assert statement.verdict is Verdict.UNKNOWN
    assert statement.figures is None
    texts = [
        render_statement(statement),
        draw_waterfall(statement),
        *statement.findings,
        *map(str, cause_table(statement)),
    ]
    return not any("$" in each for each in texts) and cause_table(statement) == []


def test_a_statement_that_lacks_a_day_has_no_figure_at_all_and_names_the_day():
    results = month()
    statement = state(WHOLE, [OPENAI], [each for each in results if each.day != day(7)])
    assert shows_no_amount(statement)
    assert statement.findings == ("openai-main, 2026-10-07: it has not been explained",)


def test_one_account_that_is_missing_takes_the_figures_of_all():
    statement = state(WHOLE, [OPENAI, ANTHROPIC], month())
    assert shows_no_amount(statement)
    assert len(statement.gaps) == 31
    assert statement.findings == ("anthropic-main, 31 days from 2026-10-01 to 2026-10-31: it has not been explained",)


def test_a_gap_outweighs_an_earlier_reading_of_the_day_and_its_reason_is_told():
    gap = Gap(account=OPENAI, day=FIRST, reason="the provider did not answer")
    statement = of(result(), gaps=[gap])
    assert shows_no_amount(statement)
    assert "openai-main, 2026-10-01: the provider did not answer" in render_statement(statement)


def test_invoices_of_some_accounts_only_are_no_invoice_of_all():
    both = [*month(), *month(account=ANTHROPIC)]
    statement = state(WHOLE, [OPENAI, ANTHROPIC], both, invoices=[invoice([line("310.00")])])
    assert shows_no_amount(statement)
    assert statement.findings == ("anthropic-main, invoice: it is not there",)


@pytest.mark.parametrize(
    ("results", "given_too", "reason"),
    [
        ([result(), result(reading="T+1")], {}, "openai-main has two results of 2026-10-01"),
        ([result(), result(day(2))], {}, "openai-main, 2026-10-02 is not within 2026-10-01"),
        ([result(), result(account=ANTHROPIC)], {}, "anthropic-main, 2026-10-01 is not within"),
        ([result()], {"earlier": [result(day(2))]}, "2026-10-02 is not within"),
        ([result()], {"gaps": [Gap(account="other", day=FIRST, reason="")]}, "other, 2026-10-01 is not within"),
        ([result()], {"invoices": [invoice([line("1.00")])]}, "the invoice of openai-main is of 2026-10"),
    ],
)
def test_what_does_not_belong_together_is_refused(results, given_too, reason):
    with pytest.raises(StatementInvalid) as refused:
        state(DAY, [OPENAI], results, **given_too)
    assert reason in refused.value.message
    assert refused.value.hint


def test_two_invoices_of_one_account_are_refused():
    bill = invoice([line("310.00")])
    with pytest.raises(StatementInvalid, match="two invoices"):
        state(WHOLE, [OPENAI], month(), invoices=[bill, bill])


@pytest.mark.parametrize("accounts", [[], [OPENAI, OPENAI]])
def test_a_statement_is_of_accounts_each_named_once(accounts):
    with pytest.raises(StatementInvalid):
        state(DAY, accounts, [])


def test_causes_are_summed_over_days_and_tell_the_evidence_of_the_largest():
    statement = of(
        result(day(1), ledger="100", shares=[share("-0.5", evidence="large"), share("0.1", Cause.WEB_SEARCH)]),
        result(day(2), ledger="100", shares=[share("0.2", evidence="small")]),
    )
    found = {each.cause: each for each in told(statement).causes}
    assert amounts(statement) == {Cause.PAST_GATEWAY: Decimal("-0.3"), Cause.WEB_SEARCH: Decimal("0.1")}
    assert found[Cause.PAST_GATEWAY].shares == 2
    assert found[Cause.PAST_GATEWAY].evidence == "large (openai-main, proj_1, 2026-10-01, sol, default, output)"


def test_quantities_without_a_cause_are_found_by_their_cell():
    left = LeftOver(
        hour=1_790_859_600,
        project="proj_1",
        key="key_1",
        model="sol",
        tier="flex",
        context="",
        quantities=(1204, 0, 0, 0, 0, -88, 0),
    )
    statement = of(result(left=(left,)))
    assert statement.findings[-1] == (
        "openai-main, 2026-10-01 13:00 UTC, proj_1, key_1, sol, flex: +1,204 input_uncached, -88 output without a cause "
        "(billed less entered)"
    )


def test_days_that_may_still_be_restated_are_counted():
    statement = of(result(day(1)), result(day(2), final=False, reading="T+1"))
    assert statement.provisional == 1
    assert statement.readings == ("openai-main 2026-10-01 T+35", "openai-main 2026-10-02 T+1")
    assert "1 of 2 account-days may still be stated otherwise" in render_statement(statement)


def test_a_period_that_ends_before_it_begins_is_none():
    with pytest.raises(ValueError, match="has no day"):
        Period(first=day(2), last=day(1))


@pytest.mark.parametrize("text", ["2026-13", "2026-1", "26-10", "2026-10-01", ""])
def test_what_is_no_month_is_refused(text):
    with pytest.raises(PeriodInvalid):
        Period.of_month(text)


@pytest.mark.parametrize(("text", "days"), [("2026-02", 28), ("2028-02", 29), ("2026-10", 31), ("2026-12", 31)])
def test_a_month_has_its_days(text, days):
    period = Period.of_month(text)
    assert len(period.days) == days
    assert period.month == str(period) == text
    assert Period(first=period.first, last=period.last - dt.timedelta(days=1)).month is None


def test_charges_of_a_day_are_what_is_billed():
    assert told(of(result(ledger="3", charges=[charge("1"), charge("2", item="input_uncached")]))).billed == 3


def test_a_day_that_the_provider_states_otherwise_than_before_is_said_and_is_no_refutation():
    restated = result(restates=Restated(reading="T+1", billed=Decimal("0.5")))
    told = state(Period(first=restated.day, last=restated.day), [restated.account], [restated])
    assert told.verdict is Verdict.VERIFIED
    assert any("stated otherwise than at T+1" in finding and "$0.50" in finding for finding in told.findings)
