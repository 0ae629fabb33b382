"""How fast a sweep may go: slower while the application feels it, and as fast as it can while not."""

from __future__ import annotations

import math

import pytest

from steward.keys.pace import Budget, Pace, percentile


def felt(pace, *milliseconds):
    for each in milliseconds:
        pace.felt(each)


def test_without_a_word_from_the_probe_it_does_not_rest():
    assert Pace(Budget(1.0, 3.0)).rest_seconds(0.5) == 0


def test_within_the_budget_it_does_not_rest():
    pace = Pace(Budget(1.0, 3.0))
    felt(pace, *[4.0] * 100)
    assert pace.rest_seconds(0.5) == 0


def test_beyond_the_budget_it_rests_longer_and_longer():
    pace, rests = Pace(Budget(1.0, 3.0)), []
    for _ in range(4):
        felt(pace, *[4.1] * 10)
        rests.append(pace.rest_seconds(0.1))
    assert rests == pytest.approx([0.005, 0.01, 0.02, 0.04])


def test_one_slow_question_in_twenty_is_no_reason_to_rest():
    pace = Pace(Budget(1.0, 3.0))
    felt(pace, *[1.0] * 19, 500.0)
    assert pace.rest_seconds(0.1) == 0


def test_nothing_is_judged_by_fewer_than_ten_questions():
    pace = Pace(Budget(1.0, 3.0))
    felt(pace, *[100.0] * 9)
    assert pace.rest_seconds(0.1) == 0
    felt(pace, 100.0)
    assert pace.rest_seconds(0.1) > 0


def test_after_slowing_down_only_what_is_felt_since_counts():
    pace = Pace(Budget(1.0, 3.0))
    felt(pace, *[100.0] * 10)
    rest = pace.rest_seconds(0.1)
    felt(pace, *[100.0] * 9)
    assert pace.rest_seconds(0.1) == rest


def test_it_hurries_again_once_it_is_not_felt():
    pace = Pace(Budget(1.0, 3.0))
    felt(pace, *[100.0] * 40)
    resting = pace.rest_seconds(0.1)
    felt(pace, *[1.0] * 20)
    assert 0 < pace.rest_seconds(0.1) < resting
    felt(pace, *[1.0] * 100)
    assert pace.rest_seconds(0.1) == 0


def test_a_rest_is_never_longer_than_a_second_nor_than_fifty_batches():
    pace = Pace(Budget(0.0, 0.1))
    felt(pace, *[100.0] * 1000)
    assert pace.rest_seconds(10.0) == 1.0
    assert pace.rest_seconds(0.001) == pytest.approx(0.05)


def test_a_new_budget_counts_at_once():
    pace = Pace(Budget(0.0, 1e9))
    felt(pace, *[50.0] * 20)
    pace.budget = Budget(1.0, 3.0)
    felt(pace, 50.0)
    assert pace.rest_seconds(0.1) > 0


def test_where_the_probe_falls_silent_it_goes_at_half_its_speed_until_it_is_heard_again():
    now = [0.0]
    pace = Pace(Budget(1.0, 3.0), clock=lambda: now[0])
    now[0] = 6.0
    assert pace.rest_seconds(0.2) == 0.2
    felt(pace, 1.0)
    assert pace.rest_seconds(0.2) == 0
    now[0] = 12.0
    assert pace.rest_seconds(0.2) == 0.2


def test_after_a_suspicion_it_rests_for_nobody():
    now = [0.0]
    pace = Pace(Budget(1.0, math.inf), clock=lambda: now[0])
    felt(pace, *[1000.0] * 20)
    now[0] = 60.0
    assert pace.rest_seconds(0.2) == 0


@pytest.mark.parametrize(
    ("values", "fraction", "expected"),
    [([3.0], 0.9, 3.0), ([1.0, 2.0], 0.0, 1.0), (list(range(100)), 0.9, 90), ([5.0, 1.0, 3.0], 1.0, 5.0)],
)
def test_percentiles_are_values_that_were_measured(values, fraction, expected):
    assert percentile(values, fraction) == expected
