import re
from decimal import Decimal

from steward.costs.period import Period
from steward.costs.statements.figures import day_figures
from steward.costs.statements.trend import draw_trend
from tests.unit.costs.statement_samples import ANTHROPIC, MONTH, OPENAI, day, month, parsed, result

WHOLE = Period.of_month(MONTH)
SVG = "{http://www.w3.org/2000/svg}"


def drawn(results, accounts=(OPENAI,)):
    return parsed(draw_trend(accounts, WHOLE, day_figures(results, accounts)))


def description(root):
    return root.find(f"{SVG}desc").text


def test_every_day_is_told_with_what_was_billed_entered_and_unexplained():
    root = drawn(month({3: result(day(3), ledger="10", billed="10.25")}))
    assert "2026-10-03: $10.25 billed, $10.00 in the ledger, +$0.25 without a cause" in description(root)
    assert "1 of 31 days have cents without a cause" in [each.text for each in root.iter(f"{SVG}text")]
    assert len(re.findall(r"billed,", description(root))) == 31


def test_a_day_that_could_not_be_had_is_hatched_and_has_no_amount():
    root = drawn([each for each in month() if each.day not in {day(7), day(8)}])
    assert "2026-10-07: could not be had; 2026-10-08: could not be had" in description(root)
    hatched = [each for each in root.iter(f"{SVG}rect") if each.get("fill") == "url(#hatch)"]
    assert len(hatched) == 2 * 2 + 1  # two panels, and the legend
    assert "2 of 31 days could not be had: hatched, and not nothing" in [each.text for each in root.iter(f"{SVG}text")]


def test_a_day_of_which_one_account_is_missing_could_not_be_had():
    one_short = [*month(), *(each for each in month(account=ANTHROPIC) if each.day != day(7))]
    found = day_figures(one_short, [OPENAI, ANTHROPIC])
    assert {each.day for each in found} == set(WHOLE.days) - {day(7)}
    assert found[0].billed == 20
    assert "2026-10-07: could not be had" in description(drawn(one_short, (OPENAI, ANTHROPIC)))


def test_accounts_do_not_make_up_for_each_other():
    both = [result(billed="10.5"), result(account=ANTHROPIC, billed="9.5")]
    (found,) = day_figures(both, [OPENAI, ANTHROPIC])
    assert (found.unexplained, found.unexplained_apart) == (0, 1)


def test_a_period_of_which_nothing_is_known_has_a_picture_without_an_amount():
    root = drawn([])
    assert "31 of 31 days could not be had: hatched, and not nothing" in [each.text for each in root.iter(f"{SVG}text")]
    assert "$" not in description(root)


def test_bars_stand_within_the_frame_whatever_the_amounts():
    for ledger in ("0", "-5", "0.000001", "123456789"):
        root = drawn(month(ledger=ledger, bound=Decimal(0)))
        for box in root.iter(f"{SVG}rect"):
            assert Decimal(box.get("height")) >= 0
            assert Decimal(box.get("y", "0")) >= 0
