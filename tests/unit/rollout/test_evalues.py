"""The e-values against sums of another kind, and the one promise that they make: at most 1 on average, whenever one stops."""

import math
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from steward.rollout.evalues import LEAST, arm_share, ln_e_above, ln_e_below, ln_e_flawless, ln_e_mismatch

DIGITS = Context(prec=250)
CLOSE = 1e-8


def exact(hits, of, share, *, above):
    """The mixture's integral by the binomial theorem, with 250 digits: no Beta function and no logarithm of one."""
    with localcontext(DIGITS):
        return _exact(hits, of, share, above=above)


def _exact(hits, of, share, *, above):
    edge = Decimal(share)
    b = Decimal(max(1.0, (1 - share) / share))
    # Over u = 1 - θ, where the density is b·u^(b-1): ∫ (1-u)^k u^(n-k+b-1) du = Σ (-1)^j C(k,j) u^(n-k+b+j) / (n-k+b+j).
    low, high = (Decimal(0), 1 - edge) if above else (1 - edge, Decimal(1))

    def integral(k, misses):
        total = Decimal(0)
        for j in range(k + 1):
            power = misses + b + j
            bounds = high**power - (low**power if low else 0)
            total += (-1) ** j * comb(k, j) * bounds / power
        return total

    likelihood = edge**hits * (1 - edge) ** (of - hits)
    return float((integral(hits, of - hits) / integral(0, 0) / likelihood).ln())


CASES = [
    (hits, of, share)
    for hits, of in [(0, 0), (0, 1), (1, 1), (3, 20), (0, 60), (12, 60), (60, 60), (5, 150), (40, 150), (90, 150)]
    for share in (arm_share(0.05, 1.25), arm_share(0.05, 2), arm_share(0.5, 1.25), arm_share(0.95, 0.5), 0.01)
]


@pytest.mark.parametrize(("hits", "of", "share"), CASES)
def test_an_e_value_is_that_of_the_exact_sum(hits, of, share):
    assert float(ln_e_above(hits, of, share)) == pytest.approx(exact(hits, of, share, above=True), abs=CLOSE)
    assert float(ln_e_below(hits, of, share)) == pytest.approx(exact(hits, of, share, above=False), abs=CLOSE)


def test_the_share_of_the_exposed_grows_with_how_often_they_err():
    assert arm_share(0.05, 1) == pytest.approx(0.05)
    assert arm_share(0.05, 2) == pytest.approx(0.1 / 1.05)
    assert arm_share(0.5, 3) == pytest.approx(0.75)


def mean_of(e_value, length, share):
    """Over every order in which *length* users who err may come, where *share* of them are exposed."""
    return sum(
        math.exp(float(e_value(sum(path), length))) * share ** sum(path) * (1 - share) ** (length - sum(path))
        for path in product((0, 1), repeat=length)
    )


@pytest.mark.parametrize("length", range(1, 11))
@pytest.mark.parametrize("edge", [0.06, 0.4, 0.9])
def test_the_mean_is_one_at_the_edge_and_below_one_within_the_hypothesis(length, edge):
    def above(hits, of):
        return ln_e_above(hits, of, edge)

    def below(hits, of):
        return ln_e_below(hits, of, edge)

    assert mean_of(above, length, edge) == pytest.approx(1)
    assert mean_of(below, length, edge) == pytest.approx(1)
    assert mean_of(above, length, edge * 0.8) < 1
    assert mean_of(below, length, edge + (1 - edge) * 0.2) < 1


@given(st.integers(0, 400), st.data())
def test_the_next_user_moves_it_by_nothing_on_average(of, data):
    """Given whatever came before: that is what makes it valid whenever one stops."""
    hits, edge = data.draw(st.integers(0, of)), data.draw(st.floats(0.02, 0.98))
    for e_value in (ln_e_above, ln_e_below):
        now = float(e_value(hits, of, edge))
        up, same = float(e_value(hits + 1, of + 1, edge)), float(e_value(hits, of + 1, edge))
        if now == LEAST:
            continue
        average = edge * math.exp(up - now) + (1 - edge) * math.exp(same - now)
        # Where it speaks for nothing, SciPy's incomplete beta is near 1e-300 and has lost digits.
        tolerated = 1e-6 if now > -2 else 0.02
        assert average <= 1 + tolerated
        assert LEAST in (up, same) or average >= 1 - tolerated


@pytest.mark.parametrize("looks", [1, 5, 20])
def test_looking_at_every_user_reaches_the_limit_no_more_often_than_promised(looks):
    """Exact, by every path: the chance that the e-value ever comes to 5 is at most a fifth, at the hypothesis's very edge."""
    edge, limit = Fraction(1, 4), math.log(5)
    alive = {0: Fraction(1)}
    reached = Fraction(0)
    for length in range(1, 121):
        after: dict[int, Fraction] = {}
        for hits, chance in alive.items():
            after[hits + 1] = after.get(hits + 1, Fraction(0)) + chance * edge
            after[hits] = after.get(hits, Fraction(0)) + chance * (1 - edge)
        alive = after
        if length % looks == 0:
            over = [hits for hits in alive if float(ln_e_above(hits, length, float(edge))) >= limit]
            reached += sum(alive.pop(hits) for hits in over)
    assert 0 < reached <= Fraction(1, 5)


@given(st.integers(0, 5_000), st.integers(0, 5_000), st.floats(0.01, 0.9))
# Where the Beta that is cut off has lost digits, before it underflows.
@example(348, 966, 0.72265625)
def test_one_more_that_errs_among_the_exposed_is_evidence_for_harm_and_none_for_health(hits, others, weight):
    harm, health = arm_share(weight, 1.25), arm_share(weight, 2)
    of = hits + others
    assert ln_e_above(hits + 1, of + 1, harm) >= ln_e_above(hits, of, harm) - CLOSE
    assert ln_e_below(hits + 1, of + 1, health) <= ln_e_below(hits, of, health) + CLOSE


@pytest.mark.parametrize(("hits", "of"), [(0, 10**7), (10**7, 10**7), (10, 10**7), (10**7 // 2, 10**7), (0, 0)])
def test_counts_of_any_size_give_a_finite_number(hits, of):
    for edge in (0.001, 0.06, 0.5, 0.97):
        for e_value in (ln_e_above, ln_e_below):
            assert LEAST <= float(e_value(hits, of, edge)) < math.inf


def test_what_is_below_the_least_overstates_nothing():
    """Where the Beta underflows, the exact value is far above what is given."""
    assert float(ln_e_above(0, 3000, 0.5)) == LEAST
    assert exact(0, 3000, 0.5, above=True) > LEAST


def test_three_hundred_users_without_an_error_prove_one_percent():
    assert ln_e_flawless(299, 0.01) >= math.log(20) > ln_e_flawless(298, 0.01)
    assert ln_e_flawless(2995, 0.001) >= math.log(20) > ln_e_flawless(2994, 0.001)


def test_a_split_as_planned_is_no_mismatch_and_another_is():
    assert ln_e_mismatch(500, 10_000, 0.05) < 0
    assert ln_e_mismatch(700, 10_000, 0.05) > math.log(1000)
    assert ln_e_mismatch(300, 10_000, 0.05) > math.log(1000)


def test_the_mismatch_is_one_on_average_where_users_split_as_planned():
    of, weight = 200, 0.25
    exposed = np.arange(of + 1)
    chances = np.array([comb(of, int(x)) * weight**x * (1 - weight) ** (of - x) for x in exposed.astype(float)])
    assert float(np.sum(chances * np.exp(ln_e_mismatch(exposed, of, weight)))) == pytest.approx(1)
