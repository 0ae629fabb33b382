"""A look's decision: proof goes on, harm goes back, and whatever is neither waits, until the deadline."""

import math

import pytest

from steward.rollout.judge import Decision, judge
from steward.rollout.plan import Plan
from steward.rollout.weighing import MOST_ANEW, Basis, limits_of
from tests.unit.rollout.looks import BEGUN, DONE, ERRORS_ONLY, NOW, PLAN, WORSE, decision, look


def test_users_who_do_as_the_others_go_on():
    found = judge(look(), PLAN, NOW)
    assert found.decision is Decision.GO
    assert found.may_renew
    assert "error: 15 of 1,500 (1%) exposed users, 285 of 28,500 (1%) others, 1 times as many" in found.reasons[0]


def test_users_who_err_five_times_as_often_are_taken_back_and_the_reason_says_by_which_figures():
    found = judge(look(on=WORSE), PLAN, NOW)
    assert found.decision is Decision.ROLL_BACK
    assert not found.may_renew
    (reason,) = found.reasons
    assert reason.startswith("harm: error: 75 of 1,500 (5%) exposed users, 285 of 28,500 (1%) others, 5 times as many")
    assert "rolled back at 200" in reason


def test_one_metric_that_is_harmed_outweighs_all_that_are_well():
    assert decision(look(on=(1500, 15, 300))) is Decision.ROLL_BACK


def test_one_metric_that_is_not_proved_holds():
    found = judge(look(on=(1500, 24, 75)), PLAN, NOW)
    assert found.decision is Decision.HOLD
    assert [each.metric for each in found.weighed if not each.proved] == ["error"]
    assert "of 20; proved in about" in found.reasons[0]
    assert found.seconds_to_go > 0


def test_evidence_of_harm_is_shared_among_the_metrics_and_of_health_is_not():
    assert math.exp(limits_of(PLAN, 0).bad) == pytest.approx(200)
    assert math.exp(limits_of(ERRORS_ONLY, 0).bad) == pytest.approx(100)
    assert math.exp(limits_of(PLAN, 0).good) == pytest.approx(20)


def test_a_step_begun_anew_has_a_fourth_of_the_errors_and_not_for_ever():
    assert math.exp(limits_of(PLAN, 1).bad) == pytest.approx(800)
    assert math.exp(limits_of(PLAN, 2).good) == pytest.approx(80)
    many = {"on": (3000, 30, 150), "off": (57_000, 570, 2850)}
    assert decision(look(**many, begun_anew=MOST_ANEW)) is Decision.GO
    assert decision(look(**many, begun_anew=MOST_ANEW + 1)) is Decision.UNKNOWN


def test_a_step_lasts_at_least_its_time_and_its_users():
    assert decision(look(begun_at=NOW - 59, at=NOW)) is Decision.HOLD
    few = Plan(minimum_users=1501)
    found = judge(look(), few, NOW)
    assert found.decision is Decision.HOLD
    assert "1500 of at least 1501 exposed users came" in found.reasons


def test_where_nobody_errs_the_slo_is_the_minimum_sample():
    assert decision(look(on=(298, 0), off=(5700, 0)), ERRORS_ONLY) is Decision.HOLD
    found = judge(look(on=(299, 0), off=(5700, 0)), ERRORS_ONLY, NOW)
    assert found.decision is Decision.GO
    assert found.weighed[0].basis is Basis.FLAWLESS


def test_where_more_is_better_harm_is_that_the_exposed_do_it_less():
    plan = Plan(metrics=(DONE,))
    assert decision(look(on=(1500, 300), off=(28_500, 5700)), plan) is Decision.GO
    assert decision(look(on=(1500, 450), off=(28_500, 5700)), plan) is Decision.GO
    assert decision(look(on=(1500, 150), off=(28_500, 5700)), plan) is Decision.ROLL_BACK


def test_what_is_not_proved_is_rolled_back_at_the_deadline_and_what_is_goes_on_even_then():
    last = BEGUN + PLAN.deadline_seconds
    assert decision(look(on=(1500, 24, 75), at=last), now=last) is Decision.ROLL_BACK
    assert decision(look(at=last), now=last) is Decision.GO


def test_users_who_split_otherwise_than_planned_hold_whatever_is_proved():
    found = judge(look(on=(3000, 15, 75)), PLAN, NOW)
    assert found.decision is Decision.HOLD
    assert found.reasons[0].startswith(
        "users do not split as planned: 3,000 of 31,500 (9.5%) are exposed, 5% should be"
    )
    last = BEGUN + PLAN.deadline_seconds
    assert decision(look(on=(3000, 15, 75), at=last), now=last) is Decision.ROLL_BACK


def test_estimates_shrink_to_what_then_happens():
    """Users who come evenly: what was said at 100 s is when it is proved, give or take a look."""

    def at(now):
        seconds = int(now - BEGUN)
        return look(
            on=(5 * seconds, seconds // 20, seconds // 4),
            off=(95 * seconds, 19 * (seconds // 20), 19 * seconds // 4),
            at=now,
        )

    said = judge(at(BEGUN + 100), PLAN, BEGUN + 100)
    went = next(
        now for now in range(int(BEGUN) + 100, int(BEGUN) + 1000, 5) if decision(at(now), now=now) is Decision.GO
    )
    assert went == pytest.approx(BEGUN + 100 + said.seconds_to_go, abs=25)
