"""A change takes users into a variant, or all of them out; never some."""

from __future__ import annotations

import time

import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from steward.flags import Audience, Flag, Split
from steward.flags.buckets import variant_of_split
from steward.flags.errors import BucketsWouldFlip
from steward.flags.transitions import require_monotonic, require_monotonic_steps
from tests.unit.flags.strategies import BRIEF, splits

FLAG = Flag(key="new-search", variants={"a": 1, "b": 2, "off": 0}, off="off")
USERS = [f"user-{number}" for number in range(500)]


def split(*weights):
    return FLAG.changed(split=Split(weights=weights))


A_QUARTER = split(("a", 25), ("off", 75))
A_AND_B = split(("a", 20), ("b", 20), ("off", 60))

ALLOWED = {
    "growing": (A_QUARTER, split(("a", 50), ("off", 50))),
    "growing to everybody": (A_QUARTER, split(("a", 100), ("off", 0))),
    "staying": (A_QUARTER, A_QUARTER),
    "rolled back": (A_QUARTER, A_QUARTER.withdrawn()),
    "rolled back without a split": (A_QUARTER, A_QUARTER.changed(split=None)),
    "killed": (A_QUARTER, A_QUARTER.changed(killed=True)),
    "killed, and smaller": (A_QUARTER, split(("a", 5), ("off", 95)).changed(killed=True)),
    "begun": (FLAG, A_QUARTER),
    "begun anew, smaller": (A_QUARTER.changed(killed=True), split(("a", 5), ("off", 95))),
    "begun anew, finer": (A_QUARTER.withdrawn(), FLAG.exposing(0.5, "a")),
    "begun anew, another way round": (A_QUARTER.withdrawn(), split(("b", 5), ("a", 5), ("off", 90))),
    "the last variant growing": (A_AND_B, split(("a", 20), ("b", 50), ("off", 30))),
    "another beside one that nobody had": (
        split(("a", 20), ("b", 0), ("off", 80)),
        split(("a", 30), ("b", 5), ("off", 65)),
    ),
    "a lease renewed": (A_QUARTER, A_QUARTER.changed(lease_until=int(time.time()) + 60)),
    "a lease dropped": (A_QUARTER.changed(lease_until=1), A_QUARTER),
    "an audience named": (A_QUARTER, A_QUARTER.changed(audiences=(Audience(variant="off", users=("user-1",)),))),
}

FLIPPING = {
    "shrinking": (A_QUARTER, split(("a", 24), ("off", 76)), "a would have the buckets 0-24 of 100"),
    "another order": (A_AND_B, split(("b", 20), ("a", 20), ("off", 60)), "order would be b, a, off"),
    "a variant put before": (A_QUARTER, split(("b", 25), ("a", 25), ("off", 50)), "order would be b, a, off"),
    "a finer total": (A_QUARTER, split(("a", 2500), ("off", 7500)), "be of 10,000"),
    "another key": (A_QUARTER, A_QUARTER.changed(key="newer-search"), "called newer-search"),
    "one variant growing into another": (A_AND_B, split(("a", 30), ("b", 30), ("off", 40)), "b would have"),
    "growing at another's cost": (A_AND_B, split(("a", 30), ("b", 10), ("off", 60)), "b would have"),
}


@pytest.mark.parametrize(("before", "after"), ALLOWED.values(), ids=ALLOWED)
def test_users_may_come_in_or_go_all_at_once(before, after):
    require_monotonic(before, after)


@pytest.mark.parametrize(("before", "after", "seen"), FLIPPING.values(), ids=FLIPPING)
def test_a_change_that_would_flip_some_users_is_refused_with_what_it_would_do(before, after, seen):
    with pytest.raises(BucketsWouldFlip) as refused:
        require_monotonic(before, after)
    assert seen in refused.value.seen
    assert refused.value.flag == before.key
    assert refused.value.expected
    assert refused.value.hint


def test_steps_of_a_rollout_must_grow():
    growing = tuple(FLAG.exposing(percent, "a") for percent in (0, 0.5, 5, 25, 100))
    require_monotonic_steps(growing)
    with pytest.raises(BucketsWouldFlip):
        require_monotonic_steps((*growing[:3], growing[1]))


@st.composite
def pairs(draw):
    """Two splits, the second often near the first: random ones alone would nearly always be refused."""
    orders = st.sampled_from([["a", "off"], ["a", "b", "off"], ["b", "a", "off"]])
    first = draw(orders.flatmap(splits))
    if draw(st.booleans()):
        return first, draw(orders.flatmap(splits))
    weights = dict(first.weights)
    grown = draw(st.sampled_from([name for name, _ in first.weights[:-1]]))
    taken = draw(st.integers(0, weights["off"]))
    weights[grown] += taken
    weights["off"] -= taken
    return first, Split(weights=tuple(weights.items()))


def exposed(split, name):
    return {user for user in USERS if variant_of_split(split, FLAG.key, user) == name}


@given(pairs())
@BRIEF
def test_no_allowed_change_takes_a_user_out_of_a_variant_unless_it_takes_all(pair):
    before, after = pair
    try:
        require_monotonic(FLAG.changed(split=before), FLAG.changed(split=after))
    except BucketsWouldFlip:
        event("refused")
        assume(False)
    event("allowed")
    if after.exposure_percent == 0:
        return
    for name in ("a", "b"):
        assert exposed(before, name) <= exposed(after, name)


@given(pairs())
@BRIEF
def test_no_growth_of_a_first_variant_is_refused(pair):
    first, _ = pair
    (name, weight), *_, (off, rest) = first.weights
    assume(len(first.weights) == 2 and rest)
    more = Split(weights=((name, weight + 1), (off, rest - 1)))
    require_monotonic(FLAG.changed(split=first), FLAG.changed(split=more))
