"""The performance gate: what pairs of measurements prove, and how seldom they prove what is not so."""

import itertools
import math
import random

import pytest
from scipy import stats

from steward.pipeline.performance import (
    LEVEL,
    NoFigure,
    Pair,
    compare_pairs,
    draw_order,
    estimate_slowdown,
    plan_looks,
    read_figure,
)
from steward.verdicts import Verdict

TOLERANCE = 0.10
NOISE = 0.10
#: As pipeline.toml has them where it says nothing.
LOOKS = plan_looks(6, 20)


def measured(drawing, slowdown, count):
    def noisy(of):
        return of * math.exp(drawing.gauss(0, NOISE))

    return [Pair(noisy(100 * slowdown), noisy(100)) for _ in range(count)]


def judged(drawing, slowdown, looks=LOOKS):
    """As the task does: pairs are added until they decide, or there are no more."""
    pairs = measured(drawing, slowdown, looks[-1])
    found = (compare_pairs(pairs[:look], TOLERANCE, looks).verdict for look in looks)
    return next((verdict for verdict in found if verdict is not Verdict.UNKNOWN), Verdict.UNKNOWN)


@pytest.mark.parametrize(("most", "verified"), [(20, 300), (40, 450)])
def test_a_release_that_is_no_slower_is_refuted_in_less_than_one_of_fifty_and_verified_given_pairs(most, verified):
    drawing = random.Random(7)
    verdicts = [judged(drawing, 1.0, plan_looks(6, most)) for _ in range(500)]
    assert verdicts.count(Verdict.REFUTED) <= 10
    assert verdicts.count(Verdict.VERIFIED) >= verified


def test_a_release_that_takes_twice_as_long_is_never_verified_and_always_refuted():
    drawing = random.Random(8)
    assert {judged(drawing, 2.0) for _ in range(500)} == {Verdict.REFUTED}


def test_a_release_exactly_at_the_tolerance_is_judged_wrongly_as_seldom_as_the_level_says():
    drawing = random.Random(9)
    verdicts = [judged(drawing, 1 + TOLERANCE) for _ in range(500)]
    assert 500 - verdicts.count(Verdict.UNKNOWN) <= 500 * (1 - LEVEL)


def test_the_interval_ends_where_wilcoxons_exact_test_begins_to_reject():
    pairs = measured(random.Random(3), 1.2, 12)
    found = estimate_slowdown(pairs, 0.95)

    def p_value(ratio):
        shifted = [math.log(each.candidate / each.certified) - math.log(ratio) for each in pairs]
        return stats.wilcoxon(shifted, method="exact").pvalue

    assert p_value(found.low * 0.9999) <= 0.05 < p_value(found.low * 1.0001)
    assert p_value(found.high * 1.0001) <= 0.05 < p_value(found.high * 0.9999)
    assert found.low < found.ratio < found.high


def test_too_few_pairs_have_an_interval_without_ends_and_decide_nothing():
    few = [Pair(300, 100)] * 5
    assert estimate_slowdown(few, LEVEL)[2:] == (0, math.inf)
    assert compare_pairs(few, TOLERANCE, (5,)).verdict is Verdict.UNKNOWN
    assert compare_pairs([*few, Pair(300, 100)], TOLERANCE, (6,)).verdict is Verdict.REFUTED


def test_it_is_looked_after_twice_as_many_pairs_until_there_are_no_more():
    assert plan_looks(8, 20) == (8, 16, 20)
    assert plan_looks(8, 32) == (8, 16, 32)
    assert plan_looks(6, 6) == (6,)


def test_it_is_not_looked_after_fewer_pairs_than_can_decide():
    assert plan_looks(6, 20) == (12, 20)


def test_nothing_is_decided_between_the_looks():
    pairs = [Pair(100, 100)] * LOOKS[-1]
    decided = [count for count in range(len(pairs) + 1) if compare_pairs(pairs[:count], 0.1, LOOKS).slowdown]
    assert decided == list(LOOKS)


def test_one_pause_of_the_machine_refutes_nothing():
    pairs = [Pair(100 + each % 8, 101) for each in range(19)] + [Pair(9000, 101)]
    assert compare_pairs(pairs, 0.1, LOOKS).verdict is Verdict.VERIFIED


def test_what_is_too_uneven_is_unknown_and_tells_its_interval():
    pairs = [Pair(a, b) for a, b in itertools.islice(itertools.cycle([(50, 100), (100, 50)]), LOOKS[-1])]
    found = compare_pairs(pairs, 0.1, LOOKS)
    assert found.verdict is Verdict.UNKNOWN
    assert "too uneven to tell: takes 1.000 times as long (" in found.says
    assert "20 pairs" in found.says


def test_the_order_is_drawn_and_the_same_for_the_same_commit():
    assert draw_order("a" * 40, 32) == draw_order("a" * 40, 32) != draw_order("b" * 40, 32)
    assert 8 <= sum(draw_order("a" * 40, 32)) <= 24


@pytest.mark.parametrize(
    ("output", "name", "figure"),
    [
        ('{"milliseconds": [3, 1, 2]}', "milliseconds", 2),
        ('warming\n{"milliseconds": [1, 2]}\n\n', "milliseconds", 1.5),
        ('{"p95_ms": 12.5, "milliseconds": 3}', "p95_ms", 12.5),
    ],
)
def test_a_figure_is_what_is_printed_as_the_last_line_or_the_median_of_several(output, name, figure):
    assert read_figure(output, name) == figure


@pytest.mark.parametrize(
    ("output", "saw"),
    [
        ("", "nothing"),
        ("done", "a last line that is no JSON"),
        ("[1]", "a last line without ms"),
        ("{}", "a last line without ms"),
        ('{"ms": []}', "an empty list of ms"),
        ('{"ms": [1, NaN]}', "ms that are not above 0, or no numbers"),
        ('{"ms": [1, true]}', "ms that are not above 0, or no numbers"),
        ('{"ms": null}', "ms that are not above 0, or no numbers"),
        ('{"ms": 0}', "ms that are not above 0, or no numbers"),
        ('{"ms": Infinity}', "ms that are not above 0, or no numbers"),
        (f'{{"ms": {10**400}}}', "ms that are not above 0, or no numbers"),
    ],
)
def test_what_is_no_figure_is_told_as_what_it_is(output, saw):
    with pytest.raises(NoFigure, match="expected as its last line") as caught:
        read_figure(output, "ms")
    assert caught.value.message == f"the performance command printed {saw}"
