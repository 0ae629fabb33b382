"""The search cluster is gone, its repository and Steward's record of nights with it: tenants come back from off site.

By its own command alone (`make drill-recovery`), since it destroys the cluster: pytest collects no file of this name.
"""

from __future__ import annotations

import os
import shutil
import time

import pytest
import yaml
from prefect.flow_runs import resume_flow_run

from demo.application import connect as as_tenants
from demo.seeding import seed
from demo.tenants import largest_tenants
from flows.nightly_snapshot import nightly_snapshot
from flows.onboard_tenant import OnboardRequest, onboard_tenant
from flows.provision_search import ProvisionRequest, provision_search
from flows.restore_from_offsite import restore_from_offsite
from replica import inventory, start, stop
from replica.elasticsearch import configuration
from replica.elasticsearch.clusters import PRODUCTION
from replica.servers import SERVERS
from replica.state import checkout
from steward.clients.elasticsearch import open_search
from steward.clients.postgres import connect
from steward.migrations.apply import migrate
from steward.operations.ledger import Ledger
from steward.settings import load
from steward.snapshots.offsite_restoring import content_digests
from steward.snapshots.policy import SnapshotPolicy
from steward.verdicts import Verdict
from tests.drills.__main__ import LAST_LINE
from tests.flows.durable_ground import deployed, ended, operation_of, state_of, wait_for
from tests.flows.durable_ground import start as start_run
from tests.flows.prefect_server import artifact, recording_in

pytestmark = pytest.mark.usefixtures("worker")

DOCUMENTS = int(os.environ.get("STEWARD_DRILL_CASES", "20000"))
TENANTS = 4
GONE = """truncate steward.snapshot_nights, steward.tenant_proofs, steward.snapshot_blobs, steward.snapshot_manifests,
steward.snapshots_gone, steward.snapshot_copies"""


@pytest.fixture(scope="module")
def ground(replica):
    """Tenants with documents, and one night that copied them off site."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in inventory.environment(replica).items():
            patch.setenv(name, value)
        settings = load()
        with recording_in(replica):
            migrate(settings)
            provision_search(ProvisionRequest(apply=True))
            tenants = largest_tenants(TENANTS)
            for tenant in tenants:
                onboard_tenant(OnboardRequest(tenant=tenant.name))
            seed(settings, tenants, DOCUMENTS)
            night = nightly_snapshot(SnapshotPolicy())
            assert night.verdict is Verdict.VERIFIED
            yield settings, night


def lose(replica, settings):
    """All of it: three nodes' data, the repository, and what Steward knew of nights."""
    stop.down(replica.state, SERVERS, PRODUCTION.nodes)
    for server in SERVERS:
        if server.name in PRODUCTION.nodes:
            shutil.rmtree(server.data(replica))
    shutil.rmtree(configuration.repository(replica))
    with connect(settings) as db:
        db.execute(GONE)


def bring_up_empty(replica):
    """As the runbook says: nodes, what the description says of a cluster, and the role for as long as it takes."""
    start.up(replica.state, SERVERS, PRODUCTION.nodes)
    provision_search(ProvisionRequest(apply=True))
    lend = yaml.safe_load((checkout() / "deployments/elasticsearch/roles_recovery.yml").read_text())
    for path in load().cluster("production").role_files:
        held = yaml.safe_load(path.read_text()) | lend
        path.write_text(yaml.safe_dump(held))
    with open_search(load(), "production", "recover") as client:
        asked = {"cluster": ["cluster:admin/snapshot/restore"]}
        wait_for(
            lambda: client.request("POST", "/_security/user/_has_privileges", asked)["has_all_requested"], "the role"
        )


def await_write(settings, alias):
    """Until a tenant's own write is acknowledged; the moment."""

    def written():
        with as_tenants(settings) as client:
            answer = client.options(ignore_status=(403, 404, 503)).index(index=alias, id="back", document={"name": "x"})
        return answer.meta.status in {200, 201}

    wait_for(written, "write")
    return time.time()


def test_everything_comes_back_from_the_copy_off_site(replica, ground, record_property):
    settings, night = ground
    before = {each.index: f"{each.algorithm}:{each.digest}" for each in night.copies}
    lose(replica, settings)
    lost_at = time.time()
    bring_up_empty(replica)
    up_at = time.time()
    with deployed(restore_from_offsite, settings=inventory.settings_file(replica)) as deployments:
        run = start_run(deployments["restore-from-offsite"], {"request": {"because": "the drill: the cluster is gone"}})
        wait_for(lambda: state_of(run).name == "Suspended", "question")
        assert f"| copy | {night.snapshot}, taken" in artifact("restore-from-offsite-plan")
        asked_at = time.time()
        resume_flow_run(run, run_input={"approved": True, "by": "the drill"})
        writable_at = await_write(settings, f"tenant-{night.tenants[0].tenant}")
        state = ended(run)
    assert state.is_completed(), state.message
    page = artifact("restore-from-offsite")
    assert "\nverdict: VERIFIED\n" in page
    report = operation_of(Ledger(settings), "restore-from-offsite", "production")["result"]
    restored = {each["name"]: ":".join(each["digest"].split(":")[::2]) for each in report["indices"]}
    assert restored == before
    # Read anew, without anything of the recovery's own: the tenant whose write came first holds that one more.
    with open_search(settings, "production", "snapshot") as client:
        names = sorted(set(before) - {f"tenant-{night.tenants[0].tenant}-000001"})
        again = content_digests(client, "", names)
    assert {name: ":".join(digest.split(":")[::2]) for name, digest in again.items()} == {n: before[n] for n in names}
    assert list((replica.state / "staging").iterdir()) == []
    stages = {each["name"]: round(each["seconds"], 1) for each in report["stages"]}
    figures = {
        "documents": night.documents,
        "indices": len(before),
        "bytes": next(each["bytes"] for each in report["stages"] if each["name"] == "fetch"),
        "rto_seconds": round(report["rto_seconds"], 1),
        "answer_to_first_write_seconds": round(writable_at - asked_at, 1),
        "nodes_up_seconds": round(up_at - lost_at, 1),
        "stages": stages,
    }
    record_property(LAST_LINE, figures)
