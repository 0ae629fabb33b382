import contextlib
import io
import uuid

import pytest
from prefect.client.schemas.actions import ArtifactCreate
from prefect.states import Completed

from demo.acts import ALREADY_DONE, RunFailed, read_certificate, run
from demo.runs import start
from demo.snapshot import CERTIFICATE, PROVISION, onboard
from demo.stage import open_stage
from demo.tenants import Tenant
from replica.errors import NotAReplica
from steward.clients.elasticsearch import open_search
from steward.errors import BadInput
from steward.search.names import TenantName
from tests.flows.prefect_server import recording_in
from tests.nights import ground
from tests.stages import prepared

__all__ = ["ground"]


@pytest.fixture(scope="module")
def stage(replica, worker, ground):
    """On the ground of nights, which is provisioned."""
    return prepared(replica.state)


@pytest.fixture(scope="module")
def dry_run(stage):
    """A run through the worker that changes nothing and leaves no certificate, and what was told of it. Once: whoever
    asks only looks at it.
    """
    with contextlib.redirect_stdout(io.StringIO()) as told:
        ended = run(stage, PROVISION, {"request": {"apply": False}})
    return ended, told.getvalue()


def test_an_onboarded_tenant_has_its_alias_and_its_line_of_progress(stage, capsys):
    tenant = Tenant("demo-stage", "sqs")
    try:
        onboard(stage, [tenant])
        with open_search(stage.settings, "production", "provision") as client:
            assert client.request("GET", f"/_alias/{tenant.alias}")
    finally:
        with open_search(stage.settings, "production", "provision") as client:
            client.request("DELETE", f"/{TenantName(tenant.name).first_index}", ok=(404,))
    said = capsys.readouterr().out
    assert "demo-stage: VERIFIED, searchable after" in said
    assert "1 tenants onboarded" in said


def test_a_run_through_the_worker_is_followed_step_by_step(dry_run):
    ended, told = dry_run
    assert ended.state.is_completed()
    assert "compare production" in told


def test_a_run_that_fails_is_told_with_its_reason(stage):
    with pytest.raises(RunFailed, match="unknown search cluster"):
        run(stage, PROVISION, {"request": {"cluster": "nowhere"}})


def test_a_run_without_a_certificate_is_never_taken_for_one_that_has_it(stage, dry_run):
    ended, _ = dry_run
    with pytest.raises(RunFailed, match="without a certificate"):
        read_certificate(stage, ended, CERTIFICATE)


def test_what_was_proved_before_is_shown_by_the_certificate_of_that_time(replica, stage, dry_run, capsys):
    ended, _ = dry_run
    done = ended.model_copy(update={"state": Completed(name=ALREADY_DONE), "state_name": ALREADY_DONE})
    # A replica that is kept holds those of earlier test runs.
    key = f"certificate-of-a-test-{uuid.uuid4()}"
    with pytest.raises(RunFailed, match="without a certificate"):
        read_certificate(stage, done, key)
    # The client tells of it by an event, to which Prefect would start a server of its own, had it none.
    with recording_in(replica), stage.prefect() as client:
        client.create_artifact(ArtifactCreate(key=key, type="markdown", data="verdict: VERIFIED"))
    assert read_certificate(stage, done, key) == "verdict: VERIFIED"
    assert "it was proved before" in capsys.readouterr().out


def test_a_deployment_that_is_not_there_is_named(stage):
    with stage.prefect() as client, pytest.raises(BadInput, match="there is no deployment nightly/none"):
        start(client, "nightly/none", {})


def test_a_folder_that_is_no_replica_is_refused(tmp_path):
    with pytest.raises(NotAReplica):
        open_stage(tmp_path)
