"""Intervals of a difference and of a ratio: where the truth lies, as often as they say, whenever one looks."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.errors import BadInput
from steward.rollout.intervals import Arm, compare_arms

arms = st.integers(1, 5000).flatmap(lambda users: st.builds(Arm, st.just(users), st.integers(0, users)))


@given(arms, arms)
def test_what_was_seen_lies_within(variant, other):
    found = compare_arms(variant, other)
    assert -1 <= found.difference.low <= found.difference.estimate + 1e-9
    assert found.difference.estimate - 1e-9 <= found.difference.high <= 1
    if found.ratio.estimate is not None:
        assert 0 <= found.ratio.low <= found.ratio.estimate + 1e-9
        assert found.ratio.high is None or found.ratio.estimate <= found.ratio.high * (1 + 1e-9)


@given(arms, arms)
def test_the_other_way_round_it_is_turned_over(variant, other):
    there, back = compare_arms(variant, other), compare_arms(other, variant)
    assert there.difference.low == pytest.approx(-back.difference.high, abs=1e-6)
    # Nearer to nothing, a thousandth of it is less than shares are computed to.
    if there.ratio.low > 1e-4 and back.ratio.high is not None:
        assert back.ratio.high == pytest.approx(1 / there.ratio.low, rel=1e-4)


def within(grid, variant, other, budget):
    """Every pair of shares of a grid whose likelihood, by a mixture of our own sum, is not too far below."""

    def ln_e(arm, shares):
        # The mixture over Beta(½, ½) by its product form: Π (i + ½) / (i + 1) …, no Beta function.
        ln = sum(math.log(i + 0.5) for i in range(arm.hits)) + sum(
            math.log(i + 0.5) for i in range(arm.users - arm.hits)
        )
        ln -= sum(math.log(i + 1.0) for i in range(arm.users))
        return ln - arm.hits * np.log(shares) - (arm.users - arm.hits) * np.log1p(-shares)

    p, q = np.meshgrid(grid, grid, indexing="ij")
    return p, q, ln_e(variant, p) + ln_e(other, q) < budget


@pytest.mark.parametrize(
    ("variant", "other"), [(Arm(60, 12), Arm(80, 30)), (Arm(40, 0), Arm(40, 9)), (Arm(200, 100), Arm(30, 3))]
)
def test_an_interval_is_what_the_region_of_both_shares_comes_to(variant, other):
    found = compare_arms(variant, other)
    p, q, inside = within(np.linspace(0.0005, 0.9995, 1500), variant, other, math.log(20))
    assert (p - q)[inside].min() == pytest.approx(found.difference.low, abs=2e-3)
    assert (p - q)[inside].max() == pytest.approx(found.difference.high, abs=2e-3)
    assert (p / q)[inside].max() == pytest.approx(found.ratio.high, rel=5e-2)


def test_the_truth_stays_within_at_every_look():
    """Of 100 experiments, looked at three times each, one in twenty may ever leave it."""
    random = np.random.default_rng(5)
    left = 0
    for _ in range(100):
        variant, other = random.binomial(200, 0.3, 10).cumsum(), random.binomial(200, 0.2, 10).cumsum()
        seen = [compare_arms(Arm(200 * n, int(variant[n - 1])), Arm(200 * n, int(other[n - 1]))) for n in (1, 4, 10)]
        left += any(not each.difference.low <= 0.1 <= each.difference.high for each in seen)
    assert left <= 5


def test_a_real_difference_is_found_and_none_is_not():
    assert compare_arms(Arm(5000, 600), Arm(5000, 500)).differs is False
    assert compare_arms(Arm(5000, 750), Arm(5000, 500)).differs is True
    assert compare_arms(Arm(5000, 250), Arm(5000, 500)).differs is True


def test_more_comparisons_and_a_higher_level_are_wider():
    one = compare_arms(Arm(1000, 120), Arm(1000, 100))
    for wider in (
        compare_arms(Arm(1000, 120), Arm(1000, 100), comparisons=3),
        compare_arms(Arm(1000, 120), Arm(1000, 100), 0.99),
    ):
        assert wider.difference.low < one.difference.low
        assert wider.difference.high > one.difference.high


def test_where_nobody_of_the_others_did_it_the_ratio_has_no_upper_bound():
    found = compare_arms(Arm(100, 50), Arm(100, 0))
    assert found.ratio.estimate is None
    assert found.ratio.high is None
    assert found.ratio.low > 1


@pytest.mark.parametrize("arm", [Arm(0, 0), Arm(10, 11), Arm(10, -1)])
def test_counts_that_make_no_share_are_refused(arm):
    with pytest.raises(BadInput, match="HINT"):
        compare_arms(arm, Arm(10, 1))
