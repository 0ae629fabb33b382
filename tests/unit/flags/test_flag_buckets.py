"""Who is exposed stays exposed while a rollout grows, and weights are what they say."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from openfeature.contrib.tools.flagd.core.targeting.custom_ops import fractional

from steward.flags import Flag, Split
from steward.flags.buckets import Subject, bucket, variant_of_split
from steward.flags.documents import document
from steward.flags.evaluation import Evaluator

USERS = 100_000
FLAG = Flag(key="new-search", variants={"on": True, "off": False}, off="off")


def exposed_by_the_sdk(flag):
    """The users whom the operator of the SDK itself puts in the growing variant."""
    weights = document([flag])["flags"][flag.key]["targeting"]["fractional"]
    data = {"$flagd": {"flagKey": flag.key}}
    return {
        number
        for number in range(USERS)
        if fractional({**data, "targetingKey": f"user-{number}"}, *weights) == flag.split.growing
    }


def test_every_step_of_a_rollout_holds_all_of_the_one_before():
    percents = (5, 25, 50, 100)
    steps = [exposed_by_the_sdk(FLAG.exposing(percent, "on")) for percent in percents]
    assert all(fewer < more for fewer, more in pairwise(steps))
    for users, percent in zip(steps, percents, strict=True):
        assert within_chance(len(users), percent / 100)


def within_chance(seen, share):
    """Within five standard deviations of a fair draw: one in a million and a half is not."""
    return abs(seen - USERS * share) <= 5 * math.sqrt(USERS * share * (1 - share))


def test_variants_of_an_experiment_get_their_weights():
    split = Split(weights=(("red", 20), ("blue", 30), ("green", 10), ("off", 40)))
    drawn = [variant_of_split(split, "button", f"user-{number}") for number in range(USERS)]
    for name, weight in split.weights:
        assert within_chance(drawn.count(name), weight / 100)


@pytest.mark.parametrize("total", [100, 10_000])
def test_planned_buckets_are_those_of_the_sdk(total):
    split = Split(weights=(("a", total // 4), ("b", total // 2), ("off", total - total // 4 - total // 2)))
    flag = Flag(key="x", variants={"a": "1", "b": "2", "off": ""}, off="off", split=split)
    evaluator = Evaluator(document([flag]))
    users = [*(f"user-{number}" for number in range(2000)), "Jörg", "用户", "x" * 200]
    assert [variant_of_split(split, "x", user) for user in users] == [
        evaluator.variant("x", Subject(user)) for user in users
    ]


def test_another_flag_draws_other_users():
    first = {number for number in range(10_000) if bucket("new-search", f"user-{number}") < 50}
    second = {number for number in range(10_000) if bucket("new-basket", f"user-{number}") < 50}
    assert abs(len(first & second) - 2500) < 250
