"""The replica's Prefect server, set up as production's has to be, and the read back of what was deployed to it."""

import base64
import http.client
import json
import tomllib
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import tomli_w
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolUpdate
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.events.actions import RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from deployments.prefect.__main__ import main
from replica.inventory import settings_file
from replica.servers.prefect import ask, auth_string
from tests.flows.prefect_server import recording_in, undeploy

pytestmark = pytest.mark.without_search

ROOT = Path(__file__).parents[2]
NIGHT, DRIFT = "nightly-snapshot/nightly-snapshot", "limit-drift"


@pytest.fixture
def server(in_replica):
    with recording_in(in_replica), get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def poorer(in_replica, tmp_path):
    """Settings of a platform without a gateway, and with nothing to hear from GitHub."""
    written = tomllib.loads(settings_file(in_replica).read_text())
    for part in ("gateway", "costs", "pipeline", "webhooks"):
        del written[part]
    path = tmp_path / "settings.toml"
    path.write_text(tomli_w.dumps(written))
    return path


@pytest.fixture
def deployed(server, poorer, capfd, monkeypatch):
    """Everything deployed by the project's own command, for *poorer*; the server is left without."""
    with monkeypatch.context() as there:
        there.setenv("STEWARD_SETTINGS", str(poorer))
        assert main(["deploy"]) == 0, capfd.readouterr()
        assert "schedules not active, for the settings do not have it: reconcile-webhooks" in capfd.readouterr().out
        assert main(["verify"]) == 0
    capfd.readouterr()
    yield server
    server.update_work_pool("steward", WorkPoolUpdate(concurrency_limit=None))
    undeploy()


def post(replica, headers):
    connection = http.client.HTTPConnection("127.0.0.1", replica.port("prefect", "api"), timeout=20)
    headers = {"Content-Type": "application/json", **headers}
    connection.request("POST", "/api/flows/", json.dumps({"name": "forged"}), headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_login_alone_changes_nothing(replica):
    login = {"Authorization": f"Basic {base64.b64encode(auth_string(replica).encode()).decode()}"}
    assert post(replica, login) == 403
    assert post(replica, {**login, "Prefect-Csrf-Client": "x", "Prefect-Csrf-Token": "y"}) == 403
    assert isinstance(ask(replica, "POST", "/api/flows/count", {}), int)


def test_the_ui_is_told_to_carry_the_token(replica):
    connection = http.client.HTTPConnection("127.0.0.1", replica.port("prefect", "api"), timeout=20)
    connection.request("GET", "/ui-settings")
    told = json.loads(connection.getresponse().read())
    connection.close()
    assert told["csrf_enabled"] is True


def test_the_key_to_the_blocks_is_not_in_their_database(replica, server):
    name = f"test-{uuid4().hex[:8]}"
    identifier = Secret(value="hunter2").save(name)
    try:
        port, password = replica.port("postgres", "sql"), replica.secret("postgres.prefect")
        with psycopg.connect(f"host=127.0.0.1 port={port} dbname=prefect user=prefect", password=password) as db:
            rows = db.execute("select data::text from block_document where id = %s", [identifier]).fetchall()
            keys = db.execute("select count(*) from configuration where key = 'ENCRYPTION_KEY'").fetchall()
        assert len(rows) == 1
        assert "hunter2" not in rows[0][0]
        assert keys == [(0,)]
        assert Secret.load(name).get() == "hunter2"
    finally:
        server.delete_block_document(identifier)


def test_the_workers_pool_is_made_from_the_template(server):
    described = json.loads((ROOT / "deployments/work_pools/process.json").read_text())
    server.update_work_pool("steward", WorkPoolUpdate(is_paused=False))
    assert server.read_work_pool("steward").base_job_template == described


def pause_schedule(client, night):
    client.update_deployment_schedule(night.id, night.schedules[0].id, active=False)


def add_schedule(client, night):
    client.create_deployment_schedules(night.id, [(IntervalSchedule(interval=timedelta(hours=1)), True)])


def limit_runs(client, night):
    client.update_deployment(night.id, DeploymentUpdate(concurrency_limit=1))


def switch_trigger_off(client, night):
    [automation] = client.read_resource_related_automations(f"prefect.deployment.{night.id}")
    client.pause_automation(automation.id)


def add_automation(client, night):
    trigger = EventTrigger(expect={"prefect.flow-run.Crashed"}, posture="Reactive", threshold=1, within=timedelta(0))
    action = RunDeployment(source="selected", deployment_id=night.id)
    mine = f"prefect.deployment.{night.id}"
    client.create_automation(
        AutomationCore(name="retry crashed", trigger=trigger, actions=[action], owner_resource=mine)
    )


def pause(client, night):
    client.pause_deployment(night.id)


def describe_otherwise(client, night):
    client.update_deployment(night.id, DeploymentUpdate(description="x", tags=["y"]))


def leave_an_old_one(client, night):
    client.create_deployment(night.flow_id, "old", work_pool_name="steward", entrypoint=night.entrypoint)


def change_the_pool(client, night):
    pool = client.read_work_pool("steward").base_job_template
    pool["variables"]["properties"]["command"]["default"] = None
    client.update_work_pool("steward", WorkPoolUpdate(base_job_template=pool, concurrency_limit=3))


#: What somebody may do to a server, and what is then told.
DRIFTS = {
    pause_schedule: ["nightly-snapshot schedule nightly active: the server holds False, expected True"],
    add_schedule: ["a schedule on the server ('IntervalSchedule') that prefect.yaml lacks"],
    limit_runs: ["nightly-snapshot concurrency limit: the server holds 1"],
    switch_trigger_off: ["nightly-snapshot trigger snapshot on request enabled: the server holds False"],
    add_automation: ["the automation 'retry crashed' on the server that prefect.yaml lacks"],
    pause: ["nightly-snapshot paused: the server holds True"],
    describe_otherwise: ["description: the server holds 'x'", "tags: the server holds ['y']"],
    leave_an_old_one: ["old: a deployment of flows.nightly_snapshot.nightly_snapshot that prefect.yaml lacks"],
    change_the_pool: ["another variables in its base job template", "work pool steward concurrency limit"],
}


def is_active(client, name):
    return [each.active for each in client.read_deployment_by_name(f"{name}/{name}").schedules]


def test_a_server_that_drifted_is_told_and_deploying_mends_what_is_described(deployed, capfd):
    night = deployed.read_deployment_by_name(NIGHT)
    for drift in DRIFTS:
        drift(deployed, night)
    deployed.delete_deployment(deployed.read_deployment_by_name("onboard-tenant/onboard-tenant").id)
    assert [is_active(deployed, name) for name in (DRIFT, "watch-ai-health")] == [[False], [True]]
    assert main(["verify"]) == 1
    told = capfd.readouterr().err
    # Of a part that the settings have by now.
    rested = "limit-drift schedule daily active: the server holds False, expected True"
    expected = ["onboard-tenant: no such deployment", rested, *(word for words in DRIFTS.values() for word in words)]
    assert [word for word in expected if word not in told] == []
    # A limit on the pool and a deployment that nobody describes are left to whoever made them.
    assert main(["deploy"]) == 1
    told = capfd.readouterr().err
    assert told.endswith("2 faults\n")
    assert "work pool steward concurrency limit: the server holds 3" in told
    assert "prefect deployment delete" in told
    assert is_active(deployed, DRIFT) == [True]


def test_a_server_that_cannot_be_asked_is_neither_right_nor_wrong(in_replica, server, capfd):
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert main(["verify"]) == 2
    assert "no Prefect server answers at http://127.0.0.1:9/api" in capfd.readouterr().err
    with temporary_settings({PREFECT_API_AUTH_STRING: "steward:wrong"}):
        assert main(["verify"]) == 2
    assert "answered 401" in capfd.readouterr().err
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        assert main(["verify"]) == 2
    assert "PREFECT_API_URL is not set" in capfd.readouterr().err
