"""Variants are compared where both had users, and all intervals hold together."""

from __future__ import annotations

from typing import NamedTuple

from steward.rollout.analysis import analyse
from steward.rollout.plan import Plan

PLAN = Plan(steps=(5, 50, 100))


class Total(NamedTuple):
    step: int
    variant: str
    kind: str
    users: int


def step(number, on, off):
    """Users, those who erred, those whom it was slow for, of either variant."""
    kinds = ("exposed", "error", "slow")
    both = (("on", on), ("off", off))
    return [
        Total(number, variant, kind, users) for variant, arm in both for kind, users in zip(kinds, arm, strict=True)
    ]


def test_each_step_with_two_variants_is_compared_and_the_others_are_not():
    totals = [
        *step(0, (0, 0, 0), (500, 5, 25)),
        *step(1, (100, 1, 5), (1900, 19, 95)),
        *step(3, (4000, 40, 200), (0, 0, 0)),
    ]

    (first,) = analyse(totals, PLAN, "on", "off")

    assert (first.step, first.exposure) == (1, 5)
    assert first.variants["on"].users == 100
    assert first.variants["off"].outcomes == {"error": 19, "slow": 95}
    assert set(first.compared) == {"error", "slow"}


def test_a_difference_that_is_there_is_shown_and_one_that_is_not_is_not():
    (found,) = analyse(step(2, (5000, 500, 250), (5000, 50, 250)), PLAN, "on", "off")

    assert found.compared["error"].differs
    assert not found.compared["slow"].differs


def test_more_comparisons_widen_every_interval():
    one = step(1, (1000, 20, 50), (1000, 10, 50))
    (alone,) = analyse(one, PLAN, "on", "off")
    (among, _) = analyse([*one, *step(2, (1000, 20, 50), (1000, 10, 50))], PLAN, "on", "off")

    assert among.compared["error"].difference.low < alone.compared["error"].difference.low


def test_an_arm_that_nobody_was_in_is_not_compared():
    (found,) = analyse([Total(1, "on", "exposed", 10)], PLAN, "on", "off")

    assert not found.compared
