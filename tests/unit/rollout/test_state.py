"""A rollout's row: forward one step at a time under a lease that lives, back from anywhere and for good."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.errors import StewardError
from steward.rollout import errors
from steward.rollout.plan import Plan
from steward.rollout.state import (
    ENDED,
    Claim,
    Passed,
    Resume,
    Standing,
    State,
    bake,
    certify,
    expose,
    renew,
    resume,
    rolled_back,
    take_over,
    withdraw,
)

PLAN = Plan(steps=(5, 50, 100), approvals=(50,))
NOW = 1000.0
ME = Claim(epoch=7, now=NOW)
NEW = Standing(epoch=7, lease_until=NOW + 60)
LATE = Claim(epoch=7, now=NOW + 60)


def at(step):
    row = NEW
    for number in range(step):
        row = expose(row, PLAN, ME, Passed(number, approved=True))
    return row


def baking():
    return bake(at(3), PLAN, ME, Passed(3))


def test_a_rollout_goes_through_every_step_to_its_certificate():
    rows = [at(1), at(2), at(3), baking(), certify(baking(), ME, Passed(3))]
    assert [(row.state, row.step, row.exposure) for row in rows] == [
        (State.EXPOSING, 1, 5),
        (State.EXPOSING, 2, 50),
        (State.EXPOSING, 3, 100),
        (State.BAKING, 3, 100),
        (State.CERTIFIED, 3, 100),
    ]


@pytest.mark.parametrize("passed", [None, Passed(0), Passed(2)])
def test_no_step_is_left_without_a_go_of_its_own(passed):
    with pytest.raises(errors.StepNotProved, match="HINT"):
        expose(at(1), PLAN, ME, passed)
    with pytest.raises(errors.StepNotProved):
        bake(at(3), PLAN, ME, passed)
    with pytest.raises(errors.StepNotProved):
        certify(baking(), ME, passed)


def test_a_person_is_asked_where_the_plan_says_so():
    with pytest.raises(errors.ApprovalMissing, match="after 50%"):
        expose(at(2), PLAN, ME, Passed(2))
    assert expose(at(2), PLAN, ME, Passed(2, approved=True)).exposure == 100


def test_steps_and_the_bake_come_in_their_order():
    with pytest.raises(errors.OutOfOrder):
        expose(at(3), PLAN, ME, Passed(3))
    with pytest.raises(errors.OutOfOrder):
        expose(baking(), PLAN, ME, Passed(3))
    with pytest.raises(errors.OutOfOrder):
        bake(at(1), PLAN, ME, Passed(1))
    with pytest.raises(errors.OutOfOrder):
        certify(at(3), ME, Passed(3))
    with pytest.raises(errors.OutOfOrder):
        rolled_back(at(1))


FORWARD = [
    lambda row, claim: renew(row, PLAN, claim),
    lambda row, claim: expose(row, PLAN, claim, Passed(row.step, approved=True)),
    lambda row, claim: bake(row, PLAN, claim, Passed(row.step)),
    lambda row, claim: certify(row, claim, Passed(row.step)),
]


@pytest.mark.parametrize("move", FORWARD)
def test_an_expired_lease_is_never_renewed_and_nothing_goes_forward_after_it(move):
    for row in (NEW, at(1), at(3), baking()):
        with pytest.raises(errors.LeaseExpired):
            move(row, LATE)


@pytest.mark.parametrize("move", FORWARD)
def test_an_older_attempt_changes_nothing(move):
    for row in (NEW, at(1), baking()):
        with pytest.raises(errors.NewerAttempt):
            move(row, Claim(epoch=6, now=NOW))


def test_a_newer_attempt_takes_over_and_gains_no_time():
    row = take_over(at(1), Claim(epoch=9, now=NOW))
    assert (row.epoch, row.lease_until) == (9, at(1).lease_until)
    with pytest.raises(errors.NewerAttempt):
        renew(row, PLAN, ME)
    with pytest.raises(errors.NewerAttempt):
        take_over(row, ME)


def test_a_restarted_controller_goes_on_while_the_lease_lives_and_else_rolls_back():
    for row in (NEW, at(2), baking()):
        assert resume(row, row.lease_until - 0.1) is Resume.GO_ON
        assert resume(row, row.lease_until) is Resume.ROLL_BACK
        assert resume(withdraw(row, "ann", "errors"), NOW) is Resume.ROLL_BACK
    assert resume(certify(baking(), ME, Passed(3)), LATE.now) is Resume.NOTHING
    assert resume(rolled_back(withdraw(at(1), "ann", "errors")), NOW) is Resume.NOTHING


def test_anybody_withdraws_at_any_time_and_the_first_reason_stays():
    for row in (NEW, at(2), baking()):
        back = withdraw(row, "guardian", "the lease ended")
        assert (back.state, back.exposure) == (State.WITHDRAWING, 0)
        assert withdraw(back, "ann", "errors") == back
        assert rolled_back(back).state is State.ROLLED_BACK
        assert rolled_back(rolled_back(back)) == rolled_back(back)


@pytest.mark.parametrize("move", FORWARD)
def test_what_was_withdrawn_is_never_exposed_again(move):
    with pytest.raises(errors.RolloutWithdrawn, match="ann withdrew"):
        move(withdraw(at(2), "ann", "errors"), ME)


@pytest.mark.parametrize("move", [*FORWARD, take_over, lambda row, _: withdraw(row, "ann", "late")])
def test_what_ended_stays(move):
    for row in (certify(baking(), ME, Passed(3)), rolled_back(withdraw(at(1), "ann", "errors"))):
        with pytest.raises(errors.RolloutEnded):
            move(row, ME)


MOVES = [
    *FORWARD,
    take_over,
    lambda row, _: withdraw(row, "ann", "errors"),
    lambda row, _: rolled_back(row),
]


@given(st.lists(st.tuples(st.sampled_from(MOVES), st.integers(5, 9), st.floats(0, 30)), max_size=30))
def test_whatever_is_tried_in_whatever_order_exposure_grows_by_steps_or_is_gone(tried):
    row, now = NEW, NOW
    for move, epoch, passes in tried:
        now += passes
        try:
            after = move(row, Claim(epoch, now))
        except StewardError:
            continue
        assert after.epoch >= row.epoch
        assert after.exposure in (row.exposure, 0, PLAN.following(row.exposure))
        assert row.state not in ENDED or after == row
        if after.exposure > row.exposure or after.lease_until > row.lease_until:
            assert now < row.lease_until
            assert row.state not in (State.WITHDRAWING, *ENDED)
        row = after
