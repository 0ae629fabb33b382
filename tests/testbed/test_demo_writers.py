import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from elasticsearch import AuthenticationException, NotFoundError

import deployments.elasticsearch
from demo.application import connect
from demo.oplog import read
from demo.seeding import NotOnboarded, seed
from demo.tenants import Tenant
from demo.writers import writing
from replica import inventory
from steward.clients.elasticsearch import open_search
from steward.search.names import TenantName

RATE = 240


@pytest.fixture
def tenants(settings):
    """Two tenants with indices of their own, removed afterwards."""
    found = [Tenant("demo-writers-ssm", "ssm"), Tenant("demo-writers-ecs", "ecs")]
    template = Path(deployments.elasticsearch.__file__).with_name("tenant_template.json").read_text()
    indices = [TenantName(tenant.name).first_index for tenant in found]
    with open_search(settings, "production", "provision") as client:
        client.request("PUT", "/_index_template/tenant", json.loads(template))
        for tenant, index in zip(found, indices, strict=True):
            client.request("PUT", f"/{index}", {"aliases": {tenant.alias: {"is_write_index": True}}})
        yield found
        for index in indices:
            client.request("DELETE", f"/{index}", ok=(404,))


def count(settings, tenant):
    with connect(settings) as client:
        # By id, so that no refresh is needed to see it.
        ids = [document.id for document in tenant.documents(100) if document.routing is None]
        return sum(found["found"] for found in client.mget(index=tenant.alias, ids=ids, source=False)["docs"]), len(ids)


def test_seeding_twice_creates_nothing_the_second_time(settings, tenants):
    first = seed(settings, tenants, 600)
    second = seed(settings, tenants, 600)
    assert (first.created, first.present) == (600, 0)
    assert (second.created, second.present) == (0, 600)
    there, expected = count(settings, tenants[0])
    assert there == expected > 0


def test_a_tenant_that_was_not_onboarded_is_refused_and_no_index_appears(settings):
    stranger = Tenant("demo-stranger", "sqs")
    with pytest.raises(NotOnboarded, match="there is no alias tenant-demo-stranger"):
        seed(settings, [stranger], 10)
    with open_search(settings, "production", "provision") as client:
        assert "error" in client.request("GET", f"/{stranger.alias}", ok=(404,))


def last_acknowledged(entries):
    """The last write of each document: the one with its shard's highest sequence number."""
    last = {}
    for entry in entries:
        key = (entry.index, entry.id, entry.routing)
        if key not in last or entry.seq_no > last[key].seq_no:
            last[key] = entry
    return last


def test_the_log_says_what_the_cluster_holds(settings, tenants):
    seed(settings, tenants, 400)
    with writing(settings, tenants, rate=RATE, seed=1) as log:
        assert log.entries()
        time.sleep(3)
    done = log.acknowledged()
    assert Counter(entry.outcome for entry in log.entries())["unknown"] == 0
    assert {entry.op for entry in done} == {"create", "index", "update", "delete"}
    assert any(entry.routing for entry in done)
    with connect(settings) as client:
        for (index, id_, routing), entry in last_acknowledged(done).items():
            try:
                found = client.get(index=index, id=id_, routing=routing, source=False)
            except NotFoundError:
                assert entry.op == "delete"
            else:
                assert entry.op != "delete"
                held = (found["_seq_no"], found["_primary_term"], found["_version"])
                assert held == (entry.seq_no, entry.primary_term, entry.version)


def test_an_error_that_waiting_cannot_cure_reaches_the_caller(settings, tenants, tmp_path):
    (tmp_path / "password").write_text("wrong")
    user = settings.search["production"].users["tenants"]
    users = {"tenants": user.model_copy(update={"password": f"file:{tmp_path / 'password'}"})}
    cluster = settings.search["production"].model_copy(update={"users": users})
    broken = settings.model_copy(update={"search": {"production": cluster}})
    with pytest.raises(AuthenticationException), writing(broken, tenants):
        pass


def test_writers_stop_when_told_and_their_log_is_whole(replica, settings, tmp_path):
    found = Tenant("ec2", "ec2")
    index = TenantName(found.name).first_index
    with open_search(settings, "production", "provision") as client:
        made = "error" not in client.request("PUT", f"/{index}", {"aliases": {found.alias: {}}}, ok=(400,))
        try:
            _write_and_stop(inventory.environment(replica), tmp_path / "log")
        finally:
            if made:
                client.request("DELETE", f"/{index}")


def _write_and_stop(environment, log):
    options = ["--tenants", "1", "--rate", "100", "--seconds", "120", "--log", str(log)]
    command = [sys.executable, "-m", "demo", "writers", *options]
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while time.monotonic() < end and not (log.exists() and log.stat().st_size):
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    entries = list(read(log))
    assert entries
    acknowledged = sum(entry.outcome == "acknowledged" for entry in entries)
    assert said.strip() == f"{acknowledged} of {len(entries)} writes acknowledged"
