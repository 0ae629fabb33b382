from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steward.costs.causes import Cause
from steward.costs.money import shown, signed
from steward.costs.period import Period
from steward.costs.statements.picture import Scale, data_uri, ticks
from steward.costs.statements.statement import state
from steward.costs.statements.waterfall import MOST_STEPS, Kind, bars, bars_below, draw_waterfall
from tests.unit.costs.statement_samples import FIRST, MONTH, OPENAI, invoice, line, month, parsed, result, share

DAY = Period(first=FIRST, last=FIRST)
AMOUNTS = st.decimals("-1E4", "1E4", places=12)
ABOVE = [cause for cause in Cause if cause not in {Cause.CREDIT, Cause.TAX, Cause.UNEXPLAINED}]
SVG = "{http://www.w3.org/2000/svg}"


def statement(shares=(), **changes):
    return state(DAY, [OPENAI], [result(shares=shares, **changes)])


def with_invoice():
    bill = invoice([line("312.00")], granted="-100.00", applied="-100.00", tax_rate="0.19", tax="40.28")
    return state(
        Period.of_month(MONTH), [OPENAI], month({1: result(ledger="10", shares=[share("2")])}), invoices=[bill]
    )


def texts(picture):
    return [element.text for element in parsed(picture).iter(f"{SVG}text")]


@settings(derandomize=True, deadline=None, max_examples=60)
@given(AMOUNTS, AMOUNTS, st.dictionaries(st.sampled_from(ABOVE), AMOUNTS, max_size=len(ABOVE)))
def test_each_bar_begins_where_the_one_before_it_ends_and_the_last_one_ends_at_the_bill(ledger, rest, causes):
    shares = [share(amount, cause) for cause, amount in causes.items()]
    found = statement(shares, ledger=ledger, billed=ledger + sum(causes.values()) + rest).figures
    drawn = bars(found)

    assert drawn[0].end == ledger
    for before, after in pairwise(drawn[:-1]):
        assert after.begin == before.end
    assert drawn[-1].begin == drawn[0].begin == 0
    assert drawn[-1].end == drawn[-2].end == found.billed
    assert drawn[-2].kind is Kind.UNEXPLAINED
    assert drawn[-2].amount == rest
    assert len(drawn) <= MOST_STEPS + 3


def test_below_the_bill_bars_join_down_to_what_has_to_be_paid():
    found = with_invoice().figures
    drawn = bars_below(found)
    assert [(each.label, each.begin, each.end) for each in drawn] == [
        ("Billed", 0, Decimal("312.00")),
        ("Credits", Decimal("312.00"), Decimal("212.00")),
        ("Tax", Decimal("212.00"), Decimal("252.28")),
        ("To be paid", 0, Decimal("252.28")),
    ]
    assert bars_below(statement().figures) == ()


def test_the_largest_step_comes_first_and_many_small_ones_share_a_bar():
    causes = {cause: Decimal(n + 1) / 1000 for n, cause in enumerate(ABOVE)}
    drawn = bars(statement([share(amount, cause) for cause, amount in causes.items()]).figures)
    sizes = [each.amount for each in drawn[1:-3]]
    assert sizes == sorted(sizes, reverse=True)
    small = [amount for amount in causes.values() if amount < Decimal("0.005")]
    merged = [each for each in drawn if "smaller causes" in each.label]
    assert len(merged) == 1
    assert merged[0].amount >= sum(small)
    assert int(merged[0].label.split()[0]) == len(ABOVE) - (len(drawn) - 4)


def test_the_picture_is_well_formed_and_says_its_bars_to_who_does_not_see_it():
    picture = draw_waterfall(with_invoice())
    root = parsed(picture)
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "title description"
    assert root.find(f"{SVG}title").text == "Costs of openai-main, 2026-10"
    description = root.find(f"{SVG}desc").text
    assert description.startswith("VERIFIED. ")
    for said in ("Our ledger (at list prices): $310.00", "Traffic past the gateway", "+$2.00", "To be paid: $252.28"):
        assert said in description
    assert "VERIFIED" in texts(picture)


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", 'a"b&c', "bell\x07", "\ud800"])
def test_a_name_that_a_provider_chose_is_no_markup(name):
    picture = draw_waterfall(state(DAY, [name], [result(account=name, provider="openai")]))
    root = parsed(picture)
    assert not list(root.iter(f"{SVG}script"))
    assert data_uri(picture).startswith("data:image/svg+xml;base64,")


def test_an_axis_that_does_not_begin_at_nothing_says_so():
    near = draw_waterfall(statement([share("0.9")], ledger="1000"))
    assert any("the axis begins at $999" in each for each in texts(near) if each)
    far = draw_waterfall(statement([share("900")], ledger="1000"))
    assert not any("axis begins" in each for each in texts(far) if each)


@pytest.mark.parametrize(
    ("ledger", "amounts"), [("0", ()), ("0", ("5",)), ("5", ("-5",)), ("5", ("-9",)), ("-3", ("1",)), ("1E-12", ())]
)
def test_quiet_and_odd_days_have_a_picture_within_its_frame(ledger, amounts):
    picture = draw_waterfall(statement([share(each) for each in amounts], ledger=ledger))
    root = parsed(picture)
    width, height = int(root.get("width")), int(root.get("height"))
    for box in root.iter(f"{SVG}rect"):
        left, top = Decimal(box.get("x", "0")), Decimal(box.get("y", "0"))
        assert left >= 0
        assert left + Decimal(box.get("width")) <= width
        assert Decimal(box.get("width")) >= 0
        assert top + Decimal(box.get("height")) <= height


def test_the_same_statement_makes_the_same_picture():
    assert draw_waterfall(with_invoice()) == draw_waterfall(with_invoice())


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        ("0", "10", "0 2 4 6 8 10"),
        ("505.55", "511.2", "506 507 508 509 510 511"),
        ("0", "0.0003", "0 0.00005 0.0001 0.00015 0.0002 0.00025 0.0003"),
    ],
)
def test_marks_of_an_axis_are_round(low, high, expected):
    assert list(ticks(Decimal(low), Decimal(high))) == [Decimal(each) for each in expected.split()]


def test_a_scale_is_placed_by_decimal_and_takes_a_span_of_nothing():
    assert Scale(Decimal(0), Decimal(3), 0, 100).at(Decimal(1)).quantize(Decimal("0.0001")) == Decimal("33.3333")
    assert Scale(Decimal(1), Decimal(1), 7, 100).at(Decimal(1)) == 7


@pytest.mark.parametrize(
    ("amount", "text", "with_sign"),
    [
        ("0", "$0.00", "$0.00"),
        ("1234.5", "$1,234.50", "+$1,234.50"),
        ("-1234.565", "-$1,234.57", "-$1,234.57"),
        ("0.005", "$0.01", "+$0.01"),
        ("0.0049", "$0.005", "+$0.005"),
        ("-0.00004", "-$0.00004", "-$0.00004"),
        ("1E-30", "$0.00", "$0.00"),
    ],
)
def test_an_amount_that_is_not_nothing_does_not_look_like_nothing(amount, text, with_sign):
    assert shown(Decimal(amount)) == text
    assert signed(Decimal(amount)) == with_sign
