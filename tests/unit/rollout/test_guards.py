"""Guards: broken for long enough they roll back, broken for a moment they hold, unread they heal nothing."""

import pytest

from steward.rollout.judge import Decision, judge
from steward.rollout.plan import Guard, Must, Plan
from tests.unit.rollout.looks import NOW, PLAN, look


def decisions(*values, guard="health", plan=PLAN, every=5):
    """Of looks one after the other, every *every* seconds."""
    found, made = None, []
    for number, value in enumerate(values):
        now = NOW + number * every
        found = judge(look(guards={guard: value}, at=now), plan, now, found)
        made.append(found.decision)
    return made


def test_a_guard_broken_for_as_long_as_it_may_rolls_back():
    assert decisions(0.5, 0.5, 0.5, 0.5) == [Decision.HOLD, Decision.HOLD, Decision.HOLD, Decision.ROLL_BACK]


def test_a_moment_holds_and_is_forgotten():
    made = decisions(0.5, 0.5, 1, 0.5, 0.5, 1)
    assert made == [Decision.HOLD, Decision.HOLD, Decision.GO, Decision.HOLD, Decision.HOLD, Decision.GO]


def test_a_look_that_cannot_read_a_broken_guard_does_not_heal_it():
    made = decisions(0.5, None, None, 0.5)
    assert made == [Decision.HOLD, Decision.UNKNOWN, Decision.UNKNOWN, Decision.ROLL_BACK]


def test_a_guard_that_allows_no_time_rolls_back_at_once():
    plan = Plan(guards=(Guard(name="health", must=Must.AT_LEAST, bound=1, for_seconds=0),))
    assert decisions(0.99, plan=plan) == [Decision.ROLL_BACK]


@pytest.mark.parametrize(
    ("guard", "holds", "broken"), [("availability", 0.999, 0.9989), ("search_p95_ms", 100, 100.1), ("health", 1, 0.99)]
)
def test_a_guard_holds_at_its_bound_and_not_beyond(guard, holds, broken):
    assert decisions(holds, guard=guard) == [Decision.GO]
    assert decisions(broken, guard=guard) == [Decision.HOLD]


def test_a_broken_guard_says_what_it_is_and_what_it_must_be():
    found = judge(look(guards={"search_p95_ms": 240}), PLAN, NOW)
    assert found.reasons == ("search_p95_ms is 240, must be at most 100; broken for 0 s, 15 s are allowed",)


def test_a_figure_that_no_guard_asks_for_is_left_aside():
    assert judge(look(guards={"disk": None}), PLAN, NOW).decision is Decision.GO
