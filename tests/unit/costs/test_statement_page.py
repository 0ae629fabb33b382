import pytest

from steward.costs.causes import Cause
from steward.costs.period import Period
from steward.costs.statements.labels import LABELS
from steward.costs.statements.statement import state
from steward.costs.statements.statement_page import cause_table, render_statement
from steward.costs.statements.waterfall import draw_waterfall
from tests.unit.costs.statement_samples import (
    ANTHROPIC,
    FIRST,
    MONTH,
    OPENAI,
    invoice,
    line,
    month,
    result,
    share,
)

DAY = Period(first=FIRST, last=FIRST)


def with_invoice():
    bill = invoice([line("312.00")], granted="-100.00", applied="-100.00", tax_rate="0.19", tax="40.28")
    days = month({1: result(ledger="10", shares=[share("2.5"), share("-0.5", Cause.DISCOUNT, agreed=True)])})
    return state(Period.of_month(MONTH), [OPENAI], days, invoices=[bill])


def statement(shares=(), **changes):
    return state(DAY, [OPENAI], [result(shares=shares, **changes)])


def test_the_first_ten_lines_say_what_has_to_be_paid_and_whether_to_believe_it():
    first = "\n".join(render_statement(with_invoice()).splitlines()[:10])
    for said in (
        "Costs of openai-main, 2026-10",
        "verdict: VERIFIED",
        "**$252.28** has to be paid",
        "We counted **$310.00** of use at list prices; **$312.00** is billed: $2.00 more",
        "traffic past the gateway +$2.50",
        "discount as agreed -$0.50",
        "variance +$2.50 (+0.80 % of the bill)",
        "Nothing is unexplained",
        "credits -$100.00, tax +$40.28",
    ):
        assert said in first


def test_a_statement_that_is_refuted_says_so_and_why_before_any_table():
    page = render_statement(statement([share("4")], ledger="10", billed="14.5"))
    first = "\n".join(page.splitlines()[:10])
    assert "verdict: REFUTED" in first
    assert "it is NOT what ledger and terms allow" in first
    assert "Refuted: openai-main by its variance and amounts without a cause." in first
    assert "**$0.50 has no cause**" in first


def test_the_table_adds_up_step_by_step():
    rows = [(row["what"], row["amount"]) for row in cause_table(with_invoice())]
    assert rows == [
        ("Our ledger, at list prices", "$310.00"),
        ("Traffic past the gateway", "+$2.50"),
        ("Discount as agreed", "-$0.50"),
        ("Unexplained", "$0.00"),
        ("Billed, before credits and tax", "$312.00"),
        ("Credits", "-$100.00"),
        ("Tax", "+$40.28"),
        ("To be paid", "$252.28"),
    ]


def test_every_cause_has_words_of_its_own():
    assert len(set(LABELS.values())) == len(Cause)


def test_what_a_provider_calls_its_items_is_no_markup_and_ends_no_line():
    named = share("0.05", evidence="billed as a|b\n<img src=x> **bold** [link](x) `code`")
    page = render_statement(statement([named], ledger="100"))
    (said,) = [each for each in page.splitlines() if each.startswith("- +$0.05 Traffic past")]
    assert "a\\|b \\<img src=x\\> \\*\\*bold\\*\\* \\[link\\](x) \\`code\\`" in said


def test_pictures_stand_behind_the_summary_and_before_the_tables():
    found = with_invoice()
    page = render_statement(found, {"waterfall": draw_waterfall(found)})
    assert (
        page.index("Below the lines")
        < page.index("![waterfall](data:image/svg+xml;base64,")
        < page.index("## Findings")
    )


def test_accounts_stand_beside_each_other_where_there_are_several():
    both = [result(), result(account=ANTHROPIC, ledger="20")]
    page = render_statement(state(DAY, [OPENAI, ANTHROPIC], both))
    assert "| openai-main | VERIFIED | $10.00 | $10.00 | $0.00 | $0.00 |  |" in page
    assert "| anthropic-main | VERIFIED | $20.00 | $20.00 | $0.00 | $0.00 |  |" in page
    assert "By account" not in render_statement(statement())


@pytest.mark.parametrize("ledger", ["0", "5"])
def test_a_bill_of_nothing_has_a_page_without_a_share_of_it(ledger):
    page = render_statement(statement(ledger=ledger, charges=[]))
    assert "**$0.00** is billed" in page
    assert "of the bill)" not in page
