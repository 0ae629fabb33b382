"""What a server holds otherwise than `prefect.yaml` says is told, an operator's pause included."""

from datetime import timedelta
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import DeploymentSchedule, WorkPool, WorkQueue
from prefect.client.schemas.responses import DeploymentResponse, GlobalConcurrencyLimitResponse
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.events.actions import RunDeployment
from prefect.events.schemas.automations import Automation, EventTrigger

from deployments.prefect import flows, templates
from deployments.prefect.comparison import compare
from deployments.prefect.description import Deployment
from deployments.prefect.held import Held

ENTRYPOINT = "tests.unit.prefect_samples.look"
DESCRIBED = Deployment.model_validate(
    {
        "name": "look",
        "description": "Look.",
        "entrypoint": ENTRYPOINT,
        "tags": ["a", "b"],
        "work_pool": {"name": "steward"},
        "schedules": [{"cron": "30 1 * * *", "timezone": "UTC", "slug": "nightly"}],
        "triggers": [{"name": "asked", "description": "x", "expect": ["e"], "match": {"k": "v"}}],
    }
)
TEMPLATE = templates.load("process")


def schedule(**changes):
    as_described = {
        "slug": "nightly",
        "schedule": CronSchedule(cron="30 1 * * *", timezone="UTC"),
        "active": True,
        "parameters": {},
    }
    return DeploymentSchedule(**(as_described | changes))


def deployment(**changes):
    as_described = {
        "id": uuid4(),
        "flow_id": uuid4(),
        "name": "look",
        "description": "Look.",
        "entrypoint": ENTRYPOINT,
        "tags": ["b", "a"],
        "work_pool_name": "steward",
        "pull_steps": [],
        "parameter_openapi_schema": flows.form(flows.load(ENTRYPOINT)),
        "schedules": [schedule()],
    }
    return DeploymentResponse(**(as_described | changes))


def automation(there, **changes):
    trigger = {"expect": {"e"}, "match": {"k": "v"}, "posture": "Reactive", "threshold": 1, "within": timedelta(0)}
    trigger |= {key: changes.pop(key) for key in list(changes) if key in trigger}
    as_described = {
        "id": uuid4(),
        "name": "asked",
        "description": "x",
        "enabled": True,
        "trigger": EventTrigger(**trigger),
        "actions": [RunDeployment(source="selected", deployment_id=there.id, parameters=None)],
    }
    return Automation(**(as_described | changes))


def held(there=None, automations=None, pool=None, queue=None, others=()):
    there = there or deployment()
    return Held(
        pool=WorkPool(**({"name": "steward", "type": "process", "base_job_template": TEMPLATE} | (pool or {}))),
        queues=[WorkQueue(**({"name": "default", "work_pool_id": uuid4()} | (queue or {})))],
        deployments={"look": there},
        automations={"look": [automation(there)] if automations is None else automations(there)},
        others=list(others),
    )


def told(there):
    return [str(fault) for fault in compare([DESCRIBED], there, TEMPLATE)]


def test_what_is_as_described_differs_in_nothing():
    assert told(held()) == []


def test_a_deployment_that_is_not_there_is_told():
    there = held()
    there.deployments.clear()
    assert told(there)[0].startswith("look: no such deployment")


LIMIT = {"id": uuid4(), "name": "x", "limit": 1, "active": True, "active_slots": 0, "slot_decay_per_second": 0.0}
DEPLOYMENTS = {
    "entrypoint": {"entrypoint": "flows.other"},
    "description": {"description": None},
    "tags": {"tags": ["a"]},
    "work pool": {"work_pool_name": "other"},
    "job variables": {"job_variables": {"env": {"A": "b"}}},
    "parameters": {"parameters": {"request": {"apply": True}}},
    "pull steps": {"pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": "/home/me"}}]},
    "form": {"parameter_openapi_schema": {}},
    "paused": {"paused": True},
    "concurrency limit": {"global_concurrency_limit": GlobalConcurrencyLimitResponse(**LIMIT)},
}


@pytest.mark.parametrize(("what", "change"), DEPLOYMENTS.items(), ids=DEPLOYMENTS)
def test_a_deployment_that_differs_is_told(what, change):
    [difference] = told(held(deployment(**change)))
    assert difference.startswith(f"look {what}: the server holds ")


SCHEDULES = {
    "paused by an operator": ([schedule(active=False)], "active: the server holds False, expected True"),
    "at another time": ([schedule(schedule=CronSchedule(cron="0 1 * * *", timezone="UTC"))], "'0 1 * * *'"),
    "in another time zone": ([schedule(schedule=CronSchedule(cron="30 1 * * *", timezone="CET"))], "'CET'"),
    "with parameters": ([schedule(parameters={"a": 1})], "parameters"),
    "not there": ([], "no such schedule"),
    "one more": ([schedule(), schedule(slug="again")], "schedule again: a schedule on the server"),
    "of another kind": ([schedule(schedule=IntervalSchedule(interval=timedelta(hours=1)))], "'IntervalSchedule'"),
}


@pytest.mark.parametrize(("there", "words"), SCHEDULES.values(), ids=SCHEDULES)
def test_a_schedule_that_differs_is_told(there, words):
    assert any(words in each for each in told(held(deployment(schedules=there))))


AUTOMATIONS = {
    "switched off": ({"enabled": False}, "enabled: the server holds False"),
    "for every event": ({"expect": set()}, "expect: the server holds []"),
    "for another resource": ({"match": {"k": "w"}}, "match"),
    "for the absence of events": ({"posture": "Proactive", "within": timedelta(seconds=60)}, "fires"),
    "for the third event": ({"threshold": 3}, "fires"),
    "for another deployment": (
        {"actions": [RunDeployment(source="selected", deployment_id=uuid4(), parameters=None)]},
        "runs",
    ),
    "under another name": ({"name": "else"}, "0 automations of this name"),
}


@pytest.mark.parametrize(("change", "words"), AUTOMATIONS.values(), ids=AUTOMATIONS)
def test_a_trigger_that_differs_is_told(change, words):
    assert any(words in each for each in told(held(automations=lambda there: [automation(there, **change)])))


def test_a_trigger_lost_doubled_or_made_by_somebody_is_told():
    [lost] = told(held(automations=lambda _: []))
    assert "0 automations of this name, expected one" in lost
    [doubled] = told(held(automations=lambda there: [automation(there), automation(there)]))
    assert "2 automations of this name, expected one" in doubled
    [strange] = told(held(automations=lambda there: [automation(there), automation(there, name="retry crashed")]))
    assert "the automation 'retry crashed' on the server that prefect.yaml lacks" in strange


POOLS = {
    "paused": {"pool": {"is_paused": True}},
    "limited": {"pool": {"concurrency_limit": 2}},
    "with another template": {"pool": {"base_job_template": {**TEMPLATE, "variables": {}}}},
    "with a queue paused": {"queue": {"is_paused": True}},
    "with a queue limited": {"queue": {"concurrency_limit": 2}},
}


@pytest.mark.parametrize("change", POOLS.values(), ids=POOLS)
def test_a_work_pool_that_differs_is_told(change):
    [difference] = told(held(**change))
    assert difference.startswith("work ")


def test_a_deployment_of_ours_that_is_not_described_is_told_with_the_way_to_remove_it():
    other = deployment(name="old-name")
    [difference] = told(held(others=[other]))
    assert difference.startswith("old-name: a deployment of")
    assert f"prefect deployment delete {other.id}" in difference


def test_a_secret_that_somebody_put_on_the_server_is_not_repeated():
    there = held(deployment(job_variables={"env": {"DB_PASSWORD": "hunter2"}}))
    assert [each.partition(",")[0] for each in told(there)] == [
        "look job variables: the server holds a value that looks like a secret"
    ]
