"""A step is over when it is proved, when harm is shown, when its time is up, or when a person says so."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from steward.rollout.judge import judge
from steward.rollout.passing import Asks, stands
from steward.rollout.plan import Plan
from steward.rollout.readings import Sample
from steward.rollout.record import Said
from steward.rollout.report import Cause
from tests.unit.rollout.looks import GOOD, NOW, WORD, look

ASKING = Plan(approvals=(5,))


def word(decision, step=1):
    return Said(step=step, decision=decision, who="ann", why="so it looks", via="a test", at=datetime.now(UTC))


def after(plan=None, told=(), now=NOW, **seen):
    plan = plan or Plan()
    return stands(judge(look(**seen), plan, now), plan, told, step=1)


def test_a_proved_step_is_passed():
    assert after().passed


def test_a_step_that_is_proved_waits_for_the_approval_that_the_plan_wants():
    asked = after(ASKING)

    assert (asked.ends, asked.asks) == (False, Asks.APPROVAL)
    assert after(ASKING, [word("approve")]).passed
    assert not after(ASKING, [word("approve", step=2)]).ends


def test_approval_that_does_not_come_before_the_deadline_takes_back():
    late = NOW + ASKING.deadline_seconds

    waited = after(ASKING, now=late, at=late)

    assert waited.cause is Cause.NOT_PROVED
    assert "nobody approved" in waited.reasons[0]


def test_harm_is_refuted_whatever_was_approved():
    harmed = after(ASKING, [word("approve")], on=(1500, 150, 75))

    assert harmed.cause is Cause.HARM


def test_what_looks_like_harm_among_users_who_split_otherwise_than_planned_is_taken_back_and_refutes_nothing():
    # As many of either arm err. Five times as many are exposed as should be, so five times as many of them err.
    lopsided = {"on": (7500, 75, 375), "off": (22_500, 225, 1125)}

    taken_back = after(**lopsided)

    assert taken_back.cause is Cause.NOT_PROVED
    assert "the arms are not alike" in taken_back.reasons[0]
    assert not any("harm:" in each for each in taken_back.reasons)


def test_a_guard_that_is_broken_for_too_long_is_harm():
    plan = Plan()
    broken = judge(look(guards={"availability": 0.5}), plan, NOW)
    later = NOW + 60

    judged = judge(look(guards={"availability": 0.5}, at=later), plan, later, broken)

    assert stands(judged, plan, [], step=1).cause is Cause.HARM


def test_what_cannot_be_seen_for_too_long_is_not_proved():
    plan = Plan()
    blind = look().model_copy(update={"on": look().on.model_copy(update={"users": Sample()})})
    before = judge(blind, plan, NOW)

    judged = judge(blind, plan, NOW + plan.blind_seconds, before)

    assert not stands(before, plan, [], step=1).ends
    assert stands(judged, plan, [], step=1).cause is Cause.NOT_PROVED


@pytest.mark.parametrize("seen", [{}, {"on": (1500, 150, 75)}])
def test_a_person_takes_it_back_before_anything_else_is_looked_at(seen):
    back = after(told=[word("roll_back")], **seen)

    assert back.cause is Cause.PERSON
    assert "ann" in back.reasons[0]


def test_too_few_users_are_said_to_a_person_and_go_on_by_that_word_alone():
    few = {"on": (3, 0, 0), "off": (57, 0, 3)}

    asked = after(**few)

    assert (asked.ends, asked.asks) == (False, Asks.OVERRIDE)
    assert after(**few, override=WORD).passed
    assert GOOD["on"][0] > few["on"][0]
