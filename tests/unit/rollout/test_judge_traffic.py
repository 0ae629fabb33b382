"""Where too few users come, or err, to prove anything, a person may say that it goes on; his word is for nothing else."""

import pytest

from steward.rollout.judge import Decision, judge
from steward.rollout.plan import Plan
from steward.rollout.readings import ArmCounts, Override
from steward.rollout.weighing import Basis
from tests.unit.rollout.looks import ERRORS, ERRORS_ONLY, NOW, PLAN, WORD, WORSE, decision, look

RARE = ERRORS.model_copy(update={"slo_when_rare": True})
QUIET = {"on": (3, 0, 0), "off": (57, 0, 3)}


def test_too_little_traffic_says_how_many_users_are_missing():
    found = judge(look(**QUIET), PLAN, NOW)
    assert found.decision is Decision.HOLD
    assert found.too_little
    assert found.users_missing == 296
    assert any("too little traffic to prove anything" in reason and "about 296" in reason for reason in found.reasons)


def test_a_persons_word_lets_a_step_go_on_where_too_few_users_come_and_is_kept_with_it():
    found = judge(look(**QUIET, override=WORD), PLAN, NOW)
    assert found.decision is Decision.GO
    assert found.overridden == WORD
    assert found.reasons[0] == "ann lets it go on unproved: nobody comes at night"


def test_a_word_for_another_step_does_not_count():
    assert decision(look(**QUIET, override=WORD.model_copy(update={"step": 2}))) is Decision.HOLD


@pytest.mark.parametrize(
    "reading",
    [
        look(on=WORSE, override=WORD),
        look(on=(1500, 24, 75), override=WORD),
        look(on=(3000, 15, 75), override=WORD),
        look(**QUIET, override=WORD, guards={"health": 0.9}),
        look(**QUIET, override=WORD, guards={"health": None}),
        look(**QUIET, override=WORD, begun_at=NOW - 10, at=NOW),
        look(on=(3, 2, 0), off=(57, 0, 3), override=WORD),
        look(**QUIET, override=WORD).model_copy(update={"off": ArmCounts()}),
    ],
    ids=["harm", "enough traffic", "split", "guard", "guard unreadable", "too soon", "leaning to harm", "missing"],
)
def test_no_word_stands_in_for_anything_but_traffic(reading):
    assert decision(reading) is not Decision.GO


def test_nobody_without_a_name_or_a_reason_overrides():
    for field in ("who", "why"):
        with pytest.raises(ValueError, match=field):
            Override(**{"step": 1, "who": "ann", "why": "because", "at": NOW} | {field: "  "})


def test_errors_too_rare_to_compare_wait_for_a_person_unless_the_plan_takes_the_slo_for_enough():
    rare = {"on": (1500, 0), "off": (28_500, 2)}
    assert decision(look(**rare), ERRORS_ONLY) is Decision.HOLD
    found = judge(look(**rare), Plan(metrics=(RARE,)), NOW)
    assert found.decision is Decision.GO
    assert found.weighed[0].basis is Basis.RARE
    assert decision(look(on=(1500, 2), off=(28_500, 0)), Plan(metrics=(RARE,))) is Decision.HOLD
