"""A dispatcher that dies anywhere, a Prefect that goes and comes, two at once: each delivery has its one run."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import httpx
import pytest
import tomli_w
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowRunFilter,
    FlowRunFilterIdempotencyKey,
)

from replica import faults, inventory, start
from replica.servers import SERVERS
from steward.clients.postgres import connect
from steward.migrations.apply import migrate
from steward.settings import Webhooks, load
from tests.flows.killed_runs import Death
from tests.flows.prefect_server import recording_in
from tests.integration.dispatch_ground import (
    Work,
    dispatched_until_killed,
    events_of,
    idle_deployment,
    rules_for,
    runs_of,
    sent,
    starts,
)
from tests.integration.fresh_database import fresh_database
from tests.watching.ground import ROOT, until

pytestmark = pytest.mark.without_search

_PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def client(replica):
    with recording_in(replica), get_client(sync_client=True) as client:
        yield client


@pytest.fixture(scope="module")
def target(client):
    with idle_deployment(client) as name:
        yield name


@pytest.fixture(scope="module")
def settings_file(replica, target, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dispatched")
    rules = folder / "rules.toml"
    rules.write_text(tomli_w.dumps(rules_for(target).model_dump(mode="json", exclude_none=True, exclude_defaults=True)))
    sources = {"ci": {"kind": "signed", "secrets": [f"file:{folder / 'ci'}"]}}
    webhooks = {"url": "http://127.0.0.1:1", "rules": str(rules), "sources": sources}
    with fresh_database(load(inventory.settings_file(replica))) as fresh:
        migrate(fresh)
        own = fresh.model_copy(update={"webhooks": Webhooks.model_validate(webhooks)})
        path = folder / "settings.toml"
        path.write_text(tomli_w.dumps(own.model_dump(mode="json", exclude_none=True)))
        yield path


@pytest.fixture
def work(settings_file, target):
    return Work(load(settings_file), rules_for(target))


@pytest.mark.parametrize(
    ("call", "state"),
    [
        ("steward.clients.webhook_starts:matched", None),
        ("services.watch.runs:Runs.create", "waiting"),
        ("services.watch.runs:Runs.emit", "waiting"),
        ("steward.clients.webhook_starts:started", "waiting"),
        ("services.webhooks.dispatcher:Lane._tell", "started"),
    ],
)
def test_a_dispatcher_that_is_killed_leaves_each_delivery_its_one_run(replica, work, client, call, state):
    settings = work.settings
    delivery = sent(settings)
    dispatched_until_killed(replica, settings, work.dispatcher.rules, Death("call", call))
    assert [each["state"] for each in starts(settings, delivery)] == ([state] if state else [])
    work.do()
    (begun,) = starts(settings, delivery)
    assert begun["state"] == "started"
    assert [run.id for run in runs_of(client, begun["key"])] == [begun["run_id"]]
    if call.endswith(":started"):
        # It had told of its run, and the next one told so again: one event.
        until(lambda: events_of(client, "steward.deploy.requested", begun["key"]), 10, "event")
        assert len(events_of(client, "steward.deploy.requested", begun["key"])) == 1


@contextmanager
def dispatching(replica, settings_file, folder, count):
    """So many processes, as production runs them."""
    environment = {**os.environ, **inventory.environment(replica), "STEWARD_SETTINGS": str(settings_file)}
    command = [sys.executable, "-m", "services.webhooks", "dispatch", "--port", "0"]
    logs = [folder / f"dispatcher-{number}.log" for number in range(count)]
    processes = []
    try:
        for log in logs:
            with log.open("ab") as file:
                processes.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file))
        yield processes, logs
    finally:
        for process in processes:
            process.kill()
            process.wait()


def got(log, path):
    port = log.read_text().rpartition("listen=127.0.0.1:")[2].split()[0]
    return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=10).raise_for_status().text


def ended(settings, deliveries):
    found = starts(settings, *deliveries)
    return found if len(found) == len(deliveries) and all(each["done_at"] for each in found) else None


def test_two_at_once_start_a_hundred_deliveries_once_each_and_end_when_told(
    replica, settings_file, client, target, tmp_path
):
    settings = load(settings_file)
    with dispatching(replica, settings_file, tmp_path, 2) as (processes, logs):
        for log in logs:
            until(lambda log=log: "dispatching" in log.read_text(), _PATIENCE_SECONDS, "dispatcher")
        deliveries = [sent(settings) for _ in range(100)]
        found = until(lambda: ended(settings, deliveries), _PATIENCE_SECONDS, "starts")
        assert {each["state"] for each in found} == {"started"}
        assert len({each["run_id"] for each in found}) == 100
        keys = [f"webhook/ci/{each['key']}/release" for each in found]
        asked = FlowRunFilter(idempotency_key=FlowRunFilterIdempotencyKey(any_=keys))
        assert {run.id for run in client.read_flow_runs(flow_run_filter=asked, limit=200)} == {
            each["run_id"] for each in found
        }
        for log in logs:
            until(
                lambda log=log: 'source="ci",state="started"} 1' in got(log, "/metrics"),
                20,
                "count of what was started",
            )
            assert got(log, "/healthz").splitlines() == ["database: answers", "prefect: answers"]
        # Both had their share.
        assert all(" started " in log.read_text() for log in logs)
        for process in processes:
            process.send_signal(signal.SIGTERM)
        assert [process.wait(10) for process in processes] == [0, 0]
    of = DeploymentFilter(name=DeploymentFilterName(any_=[target.partition("/")[2]]))
    assert len(client.read_flow_runs(deployment_filter=of, limit=200)) == sum(
        each["state"] == "started" for each in starts(settings, *range(1, deliveries[-1] + 1))
    )


def test_deliveries_wait_for_a_prefect_that_is_away_and_start_once_it_is_back(replica, settings_file, client, tmp_path):
    settings = load(settings_file)
    with dispatching(replica, settings_file, tmp_path, 1) as (_, (log,)):
        until(lambda: "dispatching" in log.read_text(), _PATIENCE_SECONDS, "dispatcher")
        faults.kill(replica.state, "prefect")
        deliveries = [sent(settings) for _ in range(3)]
        until(
            lambda: [each for each in starts(settings, *deliveries) if each["tries"] > 1],
            _PATIENCE_SECONDS,
            "second try",
        )
        assert {each["state"] for each in starts(settings, *deliveries)} == {"waiting"}
        assert "prefect: does not answer" in got(log, "/healthz")
        # The database leaves it, too, as it does when it is restarted.
        with connect(settings) as db:
            db.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name LIKE 'steward-dispatcher%'"
            )
        start.up(replica.state, SERVERS, ["prefect"])
        found = until(lambda: ended(settings, deliveries), _PATIENCE_SECONDS, "starts")
    assert [each["state"] for each in found] == ["started"] * 3
    assert [[run.id for run in runs_of(client, each["key"])] for each in found] == [[each["run_id"]] for each in found]


def test_bad_input_ends_it_before_anything_begins(settings_file, tmp_path, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    environment = {**os.environ, "STEWARD_SETTINGS": str(settings_file)}
    done = subprocess.run(
        [sys.executable, "-m", "services.webhooks", "dispatch", "--port", "0"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "PREFECT_API_URL is not set")
    with connect(load(settings_file)) as db:
        assert db.execute("SELECT count(*) FROM steward.webhook_starts WHERE state = 'waiting'").fetchone() == (0,)
