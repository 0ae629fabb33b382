"""Prefect ignores a misspelt key in prefect.yaml without a word: a limit is then no limit, a trigger never fires."""

import inspect
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from prefect.flows import Flow

ROOT = Path(__file__).parents[2]
DESCRIBED = yaml.safe_load((ROOT / "prefect.yaml").read_text())
DEPLOYMENTS = {each["name"]: each for each in DESCRIBED["deployments"]}
KNOWN = {"name", "description", "entrypoint", "tags", "work_pool", "schedules", "triggers", "parameters"}
KNOWN_SCHEDULE = {"cron", "timezone", "slug", "parameters", "active"}
KNOWN_TRIGGER = {"name", "description", "enabled", "match", "expect", "parameters"}


def flow_of(deployment):
    module, _, name = deployment["entrypoint"].rpartition(".")
    return getattr(import_module(module), name)


@pytest.mark.parametrize("deployment", DEPLOYMENTS.values(), ids=DEPLOYMENTS)
def test_a_deployment_has_only_keys_that_prefect_knows(deployment):
    assert deployment.keys() <= KNOWN
    assert deployment["work_pool"] == {"name": "steward"}
    for schedule in deployment.get("schedules", []):
        assert schedule.keys() <= KNOWN_SCHEDULE
        assert schedule["timezone"] == "UTC"
    for trigger in deployment.get("triggers", []):
        assert trigger.keys() <= KNOWN_TRIGGER
        assert trigger["expect"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS.values(), ids=DEPLOYMENTS)
def test_a_deployment_names_a_flow_and_only_parameters_that_it_has(deployment):
    flow = flow_of(deployment)
    assert isinstance(flow, Flow)
    assert flow.name == deployment["name"]
    assert set(deployment.get("parameters", {})) <= set(inspect.signature(flow.fn).parameters)


def test_the_night_begins_at_half_past_one():
    [schedule] = DEPLOYMENTS["nightly-snapshot"]["schedules"]
    assert (schedule["cron"], schedule["timezone"]) == ("30 1 * * *", "UTC")


def test_a_night_can_be_asked_for_by_event():
    [trigger] = DEPLOYMENTS["nightly-snapshot"]["triggers"]
    assert trigger["expect"] == ["steward.snapshot.requested"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS.values(), ids=DEPLOYMENTS)
def test_every_field_of_a_form_says_what_it_is_for(deployment):
    schema = flow_of(deployment).parameters.model_dump()
    models = schema["definitions"].values()
    fields = [(name, field) for model in models for name, field in model.get("properties", {}).items()]
    assert fields
    # An enumeration's title stands where it is defined.
    untold = [
        name for name, field in fields if not (field.get("description") and (field.get("title") or "$ref" in field))
    ]
    untold += [
        name for name, field in schema["properties"].items() if not (field.get("description") or "$ref" in field)
    ]
    assert untold == []
