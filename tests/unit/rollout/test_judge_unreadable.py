"""What cannot be read lets nothing go on: it is unknown, and rolled back once the plan's time for that is over."""

import pytest

from steward.rollout.judge import Decision, judge
from steward.rollout.plan import Plan
from steward.rollout.readings import ArmCounts
from tests.unit.rollout.looks import BEGUN, GOOD, NOW, PLAN, WORSE, decision, look, sample
from tests.unit.rollout.troubles import FIGURES, INFINITE, NAN, TROUBLES


def without(arm_name, what):
    """The good look with one figure replaced by each kind of trouble."""

    def damaged(bad):
        reading = look()
        counts = getattr(reading, arm_name)
        changed = {"users": bad} if what == "users" else {"hits": {**counts.hits, what: bad}}
        return reading.model_copy(update={arm_name: counts.model_copy(update=changed)})

    return damaged


def looks_on(reading_at, *, seconds, plan=PLAN, every=5):
    """The looks one after the other, the last decision being whatever ended it."""
    found = None
    for now in range(int(NOW), int(NOW + seconds), every):
        found = judge(reading_at(now), plan, now, found)
        if found.decision in (Decision.GO, Decision.ROLL_BACK):
            break
    return found


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize(("arm_name", "what"), FIGURES)
def test_a_figure_that_cannot_be_read_is_unknown_and_keeps_the_lease_from_being_renewed(arm_name, what, trouble):
    reading = without(arm_name, what)(TROUBLES[trouble])
    # The step began long ago, so that only this figure is old.
    found = judge(reading, PLAN.model_copy(update={"stale_seconds": 20}), NOW)
    assert found.decision is Decision.UNKNOWN
    assert not found.may_renew
    assert any(
        what in reason or f"{'exposed' if arm_name == 'on' else 'other'} users" in reason for reason in found.reasons
    )


@pytest.mark.parametrize("guard", ["availability", "search_p95_ms", "health"])
@pytest.mark.parametrize("value", [None, NAN, INFINITE])
def test_a_guard_that_cannot_be_read_is_unknown(guard, value):
    found = judge(look(guards={guard: value}), PLAN, NOW)
    assert found.decision is Decision.UNKNOWN
    assert not found.may_renew


def test_an_empty_reading_is_unknown():
    reading = look().model_copy(update={"on": ArmCounts(), "off": ArmCounts(), "guards": {}})
    assert decision(reading) is Decision.UNKNOWN


def test_more_who_err_than_there_are_is_unknown():
    assert decision(look(on=(1500, 1501, 75))) is Decision.UNKNOWN


@pytest.mark.parametrize(("on", "off"), [((0, 0, 0), GOOD["off"]), (GOOD["on"], (0, 0, 0)), ((0, 0, 0), (0, 0, 0))])
def test_zero_traffic_is_unknown_and_the_lease_lives_on(on, off):
    found = judge(look(on=on, off=off), PLAN, NOW)
    assert found.decision is Decision.UNKNOWN
    assert found.may_renew
    assert any("none came" in reason for reason in found.reasons)


def test_a_count_that_went_back_is_unknown_until_it_has_caught_up():
    before = judge(look(), PLAN, NOW)
    less = judge(look(on=(1500, 14, 75), at=NOW + 5), PLAN, NOW + 5, before)
    still = judge(look(on=(1500, 14, 75), at=NOW + 10), PLAN, NOW + 10, less)
    again = judge(look(at=NOW + 15), PLAN, NOW + 15, still)
    assert [less.decision, still.decision, again.decision] == [Decision.UNKNOWN, Decision.UNKNOWN, Decision.GO]


def test_harm_that_is_shown_goes_back_whatever_else_cannot_be_read():
    reading = look(on=WORSE)
    blind = reading.model_copy(update={"on": reading.on.model_copy(update={"hits": {"error": sample(75)}})})
    assert decision(blind) is Decision.ROLL_BACK


def test_what_stays_unreadable_is_rolled_back_after_the_time_that_the_plan_allows():
    found = looks_on(lambda now: look(guards={"health": None}, at=now), seconds=600)
    assert found.decision is Decision.ROLL_BACK
    assert found.at == NOW + PLAN.blind_seconds
    assert found.reasons[0] == "not readable for 45 s, 45 s are allowed"


def test_a_gap_that_ends_in_time_is_forgotten():
    plan = Plan(minimum_users=10_000)
    gap = judge(look(guards={"health": None}), plan, NOW)
    well = judge(look(at=NOW + 30), plan, NOW + 30, gap)
    later = judge(look(at=NOW + 60, guards={"health": None}), plan, NOW + 60, well)
    assert [gap.blind_since, well.blind_since, later.blind_since] == [NOW, None, NOW + 60]
    assert later.decision is Decision.UNKNOWN


def test_zero_traffic_is_rolled_back_at_the_deadline():
    last = BEGUN + PLAN.deadline_seconds
    nobody = {"on": (0, 0, 0), "off": (0, 0, 0)}
    assert decision(look(**nobody, at=last - 1), now=last - 1) is Decision.UNKNOWN
    assert decision(look(**nobody, at=last), now=last) is Decision.ROLL_BACK
