"""What a plan refuses before anything is touched, and that Prefect can show it."""

import json

import pytest
from pydantic import ValidationError

from steward.rollout.plan import Better, Guard, Metric, Must, Plan
from tests.unit.rollout.looks import ERRORS

DONE = Metric(name="done", slo=0.3, better=Better.HIGHER, bad_ratio=1.5)


@pytest.mark.parametrize(
    ("given", "seen", "hint"),
    [
        ({"steps": (5, 50, 25, 100)}, "do not grow", "in order: [5, 25, 50, 100]"),
        ({"steps": (5, 5, 100)}, "do not grow", "in order: [5, 100]"),
        ({"steps": (0, 100)}, "1 to 100 per cent", "5, 25, 50, 100"),
        ({"steps": (5, 150)}, "1 to 100 per cent", "5, 25, 50, 100"),
        ({"steps": (5, 50)}, "the last step exposes 50%", "end with 100"),
        ({"approvals": (30,)}, "approval after [30]", "[5, 25, 50, 100]"),
        ({"minimum_seconds": 3600}, "at least 3600 s", "later deadline"),
        ({"lease_seconds": 20}, "a lease of 20 s renewed every 15 s", "renew every 6.6 s"),
        ({"metrics": (ERRORS, ERRORS)}, "metric error stands twice", "each name once"),
        ({"metrics": ({"name": "ordered"},)}, "metric ordered has no SLO", "the share of users that is still right"),
        ({"metrics": ({"name": "ordered", "slo": None},)}, "metric ordered has no SLO", "0.01 is 1%"),
        ({"metrics": (Metric(name="exposed", slo=0.1),)}, "every exposed user is", "what users may meet"),
        ({"metrics": (DONE,), "bake_seconds": 60}, "users have 60 s for it", "bake for longer"),
        ({"bad_ratio": 1.25}, "1.25 times is tolerated, 1.25 times is bad", "tolerate less"),
        (
            {"metrics": (Metric(name="error", slo=0.01, tolerance=1),)},
            "2 times is tolerated, 2 times is bad",
            "tolerate less",
        ),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused_with_a_hint(given, seen, hint):
    with pytest.raises(ValidationError) as refused:
        Plan(**given)
    # What is left of a list with a fault is told to be too short besides.
    fault = refused.value.errors()[0]
    assert seen in fault["msg"]
    assert f"HINT: {fault['msg'].partition('HINT: ')[2]}" in fault["msg"]
    assert hint in fault["msg"].partition("HINT: ")[2]


@pytest.mark.parametrize(
    "given",
    [
        {"steps": ()},
        {"metrics": ()},
        {"alpha": 0},
        {"beta": 0.5},
        {"minimum_users": 0},
        {"lease_seconds": 0},
        {"unknown": 1},
        {"bake_seconds": -1},
    ],
)
def test_values_out_of_bounds_are_refused(given):
    with pytest.raises(ValidationError):
        Plan(**given)


def test_a_guard_needs_a_bound_that_is_a_number():
    with pytest.raises(ValidationError):
        Guard(name="health", must=Must.AT_LEAST, bound=float("nan"))


def test_drills_have_a_lease_of_five_seconds():
    assert Plan(lease_seconds=5, renew_seconds=1).lease_seconds == 5


def test_steps_follow_one_another():
    plan = Plan(steps=(1, 10, 100), approvals=(10,))
    assert [plan.following(step) for step in (0, 1, 10, 100)] == [1, 10, 100, None]
    assert [plan.asks_after(step) for step in plan.steps] == [False, True, False]


def test_a_metric_may_call_more_or_less_bad_than_the_plan():
    plan = Plan(metrics=(DONE, ERRORS))
    assert [plan.bad_ratio_of(metric) for metric in plan.metrics] == [1.5, 2]


def test_a_plan_survives_the_database():
    plan = Plan(steps=(10, 100), approvals=(10,), metrics=(DONE,))
    assert Plan.model_validate(json.loads(json.dumps(plan.model_dump(mode="json")))) == plan


def test_every_field_of_the_form_says_what_it_is_and_stands_at_a_default():
    for name, field in Plan.model_json_schema()["properties"].items():
        assert field.get("title"), name
        assert field.get("description"), name
        assert name not in Plan.model_json_schema().get("required", ()), name


def test_a_metric_of_the_form_wants_its_name_and_its_slo_and_has_the_rest():
    form = Plan.model_json_schema()["$defs"]["Metric"]
    assert form["required"] == ["name", "slo"]
    assert form["properties"]["slo"]["type"] == "number"
    assert all(field.get("description") for field in form["properties"].values())
