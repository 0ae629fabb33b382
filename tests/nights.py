"""Ground for tests of whole nights: two tenants with real documents, and a record without nights."""

import shutil

import pytest

from demo.seeding import seed
from demo.tenants import largest_tenants
from flows.onboard_tenant import OnboardRequest, onboard_tenant
from flows.provision_search import ProvisionRequest, provision_search
from replica import inventory
from steward.clients.elasticsearch import open_search
from steward.clients.postgres import connect
from steward.migrations.apply import migrate
from steward.settings import load
from steward.snapshots import capture
from steward.snapshots.offsite_restoring import unregister
from steward.snapshots.policy import SnapshotPolicy
from steward.snapshots.restoring import drop_restored
from tests.flows.prefect_server import recording_in

DOCUMENTS = 4_000
_laid = {}


def lay_ground(settings):
    """A migrated database, a provisioned cluster, two tenants with documents; the policy of their nights."""
    migrate(settings)
    provision_search(ProvisionRequest(apply=True))
    tenants = largest_tenants(2)
    for tenant in tenants:
        onboard_tenant(OnboardRequest(tenant=tenant.name))
    seed(settings, tenants, DOCUMENTS)
    # So few documents under so many writes: many are written more than once in the window, which proves no fault.
    return SnapshotPolicy(tenants=[tenant.name for tenant in tenants], undecided_ppm=100_000)


@pytest.fixture(scope="session")
def ground(replica):
    """Laid once a test run, whichever folders ask for it: onboarding and loading take longer than a night."""
    # Each folder's fixture of this name is another one to pytest.
    if replica.state not in _laid:
        _laid[replica.state] = _lay(replica)
    return _laid[replica.state]


def _lay(replica):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in inventory.environment(replica).items():
            patch.setenv(name, value)
        with recording_in(replica):
            return lay_ground(load())


@pytest.fixture
def fresh(in_replica, settings, ground):
    """The policy of a cluster that has had no night yet."""
    forget_nights(settings, ground)
    with recording_in(in_replica):
        yield ground


def forget_nights(settings, policy):
    """As on a cluster that has had no night yet. Evidence stays: it is append-only."""
    with connect(settings) as db:
        db.execute("truncate steward.operations cascade")
        db.execute("delete from steward.snapshot_nights")
        db.execute("delete from steward.tenant_proofs")
        db.execute(
            "truncate steward.snapshot_blobs, steward.snapshot_manifests, steward.snapshots_gone, steward.snapshot_copies"
        )
    with open_search(settings, policy.cluster, "snapshot") as source:
        held = source.request("GET", f"/_snapshot/{policy.repository}/*")["snapshots"]
        capture.delete_snapshots(source, policy.repository, [each["snapshot"] for each in held])
    with open_search(settings, policy.scratch_cluster, "restore") as scratch:
        # What the ledger knew of is forgotten with it.
        drop_restored(scratch, capture.restored_indices(scratch, "proof-"))
        for name in capture.repositories(scratch):
            if name.startswith("offsite-"):
                unregister(scratch, name)
    for staged in settings.snapshots.staging.path.glob("offsite-*"):
        shutil.rmtree(staged)
