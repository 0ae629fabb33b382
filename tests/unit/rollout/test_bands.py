from __future__ import annotations

from functools import cache

import pytest

from steward.rollout import intervals
from steward.rollout.bands import band
from steward.rollout.intervals import Arm

LOOKS = 120


@cache
def _within(users, hits):
    return band(users, hits)


def left_by_chance(share):
    """The exact chance that the true share is outside of the band at any look, one after every user."""
    alive, left = {0: 1.0}, 0.0
    for users in range(1, LOOKS + 1):
        came = dict.fromkeys(range(users + 1), 0.0)
        for hits, chance in alive.items():
            came[hits] += chance * (1 - share)
            came[hits + 1] += chance * share
        low_high = {hits: _within(users, hits) for hits in came}
        alive = {hits: chance for hits, chance in came.items() if low_high[hits].low <= share <= low_high[hits].high}
        left += sum(chance for hits, chance in came.items() if hits not in alive)
    return left


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5])
def test_the_true_share_stays_within_the_band_at_every_look(share):
    assert left_by_chance(share) <= 0.05


@pytest.mark.parametrize(("users", "hits"), [(1, 0), (1, 1), (10, 3), (1000, 11), (100_000, 950), (50, 50), (0, 0)])
def test_the_band_is_where_the_interval_of_the_arm_alone_would_be(users, hits):
    found = band(users, hits)
    if not users:
        assert found == (0, 1)
        return
    budget = 2.995732273553991  # ln 20
    expected = [intervals._edge(Arm(users, hits), budget, upper=upper) for upper in (False, True)]
    assert found == pytest.approx(expected, abs=1e-8)
