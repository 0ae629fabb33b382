"""The night as it is deployed: by the command of the README, run by the worker, started by an event."""

import time
from datetime import UTC, datetime

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.events import emit_event

from tests.flows.prefect_server import recording_in, undeploy
from tests.nights import fresh, ground
from tests.stages import prepared

__all__ = ["fresh", "ground"]

NIGHT = "nightly-snapshot/nightly-snapshot"
WAIT_SECONDS = 180


@pytest.fixture(autouse=True)
def at_home(fresh):
    """In the replica, whose cluster has had no night yet."""


@pytest.fixture(scope="module")
def deployed(replica, worker):
    """The night as the server has it."""
    prepared(replica.state)
    with recording_in(replica), get_client(sync_client=True) as client:
        yield client.read_deployment_by_name(NIGHT)
        undeploy()


def wait_for(answer, what):
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        if found := answer():
            return found
        time.sleep(1)
    return pytest.fail(f"no {what} after {WAIT_SECONDS} s")


def test_the_server_has_the_schedule_the_form_and_the_trigger(deployed):
    [schedule] = deployed.schedules
    assert (schedule.schedule.cron, schedule.schedule.timezone, schedule.active) == ("30 1 * * *", "UTC", True)
    assert set(deployed.parameter_openapi_schema["properties"]) == {"policy", "night"}
    with get_client(sync_client=True) as client:
        automations = client.request("POST", "/automations/filter", json={}).json()
    expected = {
        str(action.get("deployment_id")): each["trigger"]["expect"]
        for each in automations
        for action in each["actions"]
    }
    assert expected[str(deployed.id)] == ["steward.snapshot.requested"]


def test_an_event_starts_a_night_that_the_worker_brings_to_a_verdict(deployed):
    asked = datetime.now(UTC)
    emit_event("steward.snapshot.requested", resource={"prefect.resource.id": "steward.test"})
    with get_client(sync_client=True) as client:
        mine = DeploymentFilter(id=DeploymentFilterId(any_=[deployed.id]))

        def started():
            runs = client.read_flow_runs(deployment_filter=mine)
            return next((run for run in runs if run.created >= asked and not run.auto_scheduled), None)

        run = wait_for(started, "run that the event started")

        def ended():
            now = client.read_flow_run(run.id)
            return now if now.state.is_final() else None

        final = wait_for(ended, "final state of the run")
    assert final.state.is_completed(), final.state.message
