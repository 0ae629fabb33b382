"""A person's word is taken where it is asked for, and nowhere else."""

from datetime import UTC, datetime

import pytest

from steward.rollout.glance import Glance
from steward.rollout.plan import Plan
from steward.rollout.record import Rollout, Said
from steward.rollout.words import NotAsked, require_asked, word_wanted

AT = datetime(2026, 11, 26, tzinfo=UTC)


def rollout(**changes):
    row = {
        "id": 7,
        "operation_id": 1,
        "environment": "production",
        "release": "two",
        "flag": "search",
        "variant": "on",
        "plan": Plan(approvals=(5,)),
        "state": "exposing",
        "step": 1,
        "exposure": 5,
        "step_begun_at": AT,
        "epoch": 1,
        "lease_seconds": 60,
        "lease_until": AT,
        "lease_left": 30,
        "colour": "green",
        "previous_colour": "blue",
        "previous_release": "one",
        "slow_ms": None,
        "who": None,
        "why": None,
        "withdrawn_at": None,
        "begun_at": AT,
        "exposed_at": AT,
        "ended_at": None,
    }
    return Rollout(**(row | changes))


def glance(decision="GO", **changes):
    return Glance(
        **({"decision": decision, "at": 1, "step": 1, "exposure": 5, "begun_at": 0, "reasons": ("well",)} | changes)
    )


def test_an_approval_is_taken_of_a_proved_step_and_an_override_of_one_that_too_few_can_prove():
    require_asked(rollout(), glance(), "approve")
    require_asked(rollout(), glance("HOLD", too_little=True), "override")


@pytest.mark.parametrize("saying", ["approve", "override"])
@pytest.mark.parametrize(
    ("row", "last", "words"),
    [
        ({"state": "certified", "ended_at": AT}, glance(), "is certified"),
        ({"state": "withdrawing"}, glance(), "is withdrawing"),
        ({"state": "rolled_back", "ended_at": AT}, glance(), "is rolled back"),
        ({}, None, "not looked at yet"),
        # What was said of the step before is not meant for this one.
        ({"step": 2}, glance(), "not looked at yet"),
        ({"state": "baking"}, glance(), "not looked at yet"),
        ({}, glance("UNKNOWN"), "is UNKNOWN"),
        ({}, glance("ROLL_BACK"), "is ROLL_BACK"),
    ],
)
def test_nobody_decides_what_is_over_or_was_not_seen(saying, row, last, words):
    with pytest.raises(NotAsked, match=words):
        require_asked(rollout(**row), last, saying)


def test_harm_is_not_overridden_and_what_the_plan_does_not_ask_is_not_approved():
    with pytest.raises(NotAsked, match="not for too few users"):
        require_asked(rollout(), glance(), "override")
    with pytest.raises(NotAsked, match="asks nobody after 5 %"):
        require_asked(rollout(plan=Plan()), glance(), "approve")
    with pytest.raises(NotAsked, match="asks nobody after the bake"):
        require_asked(rollout(state="baking"), glance(baking=True), "approve")


@pytest.mark.parametrize(
    ("row", "last", "told", "wanted"),
    [
        ({}, glance(), [], "approve"),
        ({}, glance("HOLD", too_little=True), [], "override"),
        ({}, glance("HOLD"), [], None),
        ({}, None, [], None),
        ({}, glance(), ["approve"], None),
        ({"state": "rolled_back"}, glance(), [], None),
    ],
)
def test_the_word_that_is_waited_for_is_named_until_it_was_said(row, last, told, wanted):
    said = [Said(step=1, decision=each, who="ada", why="well", via="command", at=AT) for each in told]
    assert word_wanted(rollout(**row), last, said) == wanted


def test_a_word_on_an_earlier_step_is_none_on_this_one():
    said = Said(step=1, decision="approve", who="ada", why="well", via="command", at=AT)
    now = rollout(step=2, exposure=25, plan=Plan(approvals=(25,)))
    assert word_wanted(now, glance(step=2, exposure=25), [said]) == "approve"
