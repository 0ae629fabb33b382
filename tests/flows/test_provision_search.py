from __future__ import annotations

from collections.abc import Generator

import pytest
from botocore.exceptions import ClientError
from prefect.utilities.callables import parameter_schema
from pydantic import ValidationError

from flows.provision_search import ProvisionRequest, provision_search
from replica.elasticsearch import api, configuration
from replica.elasticsearch.clusters import HAND, PRODUCTION
from replica.server import Place
from steward.clients.s3 import BucketMissing, _client
from steward.errors import BadInput
from steward.search.errors import ProvisioningRefused
from steward.search.provisioning import Part
from steward.settings import Settings
from steward.verdicts import Verdict
from tests.flows.prefect_server import artifact, recording_in
from tests.provisioning import add_roles, provision

BUCKET = "steward-search-snapshots"


@pytest.fixture
def server(in_replica: Place) -> Generator[Place]:
    with recording_in(in_replica):
        yield in_replica


@pytest.fixture
def provisioned(server: Place) -> Place:
    provision()
    return server


def broken_role(place: Place) -> None:
    add_roles(configuration.folder(place, "es-2") / "roles.yml", {"steward_snapshot": {"cluster": ["all"]}})


def test_the_form_has_titles_descriptions_bounds_and_choices():
    schema = parameter_schema(provision_search).model_dump()["definitions"]["ProvisionRequest"]["properties"]
    assert all({"title", "description"} <= field.keys() for field in schema.values())
    assert schema["repository"]["enum"] == ["fs", "s3"]
    assert schema["apply"] == schema["apply"] | {"type": "boolean", "default": False}


def test_a_second_run_changes_nothing_and_says_so(provisioned):
    report = provision_search(ProvisionRequest(apply=True))
    assert (report.verdict, report.changed, report.remaining) == (Verdict.VERIFIED, (), ())
    assert "Nothing was changed" in artifact("search-provisioning")


def test_looking_shows_the_difference_and_leaves_it(provisioned):
    broken_role(provisioned)
    before = (configuration.folder(provisioned, "es-2") / "roles.yml").read_text()
    report = provision_search(ProvisionRequest(apply=False))
    assert report.verdict is Verdict.REFUTED
    assert [(each.part, each.name) for each in report.remaining] == [(Part.ROLE, "steward_snapshot")]
    assert "cluster: also has all" in artifact("search-provisioning-plan")
    assert (configuration.folder(provisioned, "es-2") / "roles.yml").read_text() == before


def test_applying_puts_it_right_and_reads_it_back(provisioned):
    broken_role(provisioned)
    report = provision_search(ProvisionRequest(apply=True))
    assert report.verdict is Verdict.VERIFIED
    assert [(each.part, each.name) for each in report.changed] == [(Part.ROLE, "steward_snapshot")]
    assert report.writers == ("es-1", "es-2", "es-3")
    assert "verdict: VERIFIED" in artifact("search-provisioning")


@pytest.fixture
def bucket(settings: Settings) -> Generator:
    """Makes the described bucket, with Object Lock or without."""
    s3 = _client(settings.objects, settings.vault)
    yield lambda *, locked: s3.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=locked)
    try:
        s3.delete_bucket(Bucket=BUCKET)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "NoSuchBucket"  # noqa: PT017  a test may have made none
    s3.close()


def test_a_bucket_with_object_lock_is_refused_before_anything_is_changed(provisioned, bucket):
    bucket(locked=True)
    broken_role(provisioned)
    with pytest.raises(ProvisioningRefused, match="has Object Lock") as refused:
        provision_search(ProvisionRequest(repository="s3", apply=True))
    assert "would move and leave its snapshots behind" in refused.value.message
    assert not provision_search(ProvisionRequest(apply=False)).changed
    assert provision_search(ProvisionRequest(apply=True)).changed


def test_a_repository_of_another_kind_is_refused(provisioned, bucket):
    bucket(locked=False)
    with pytest.raises(ProvisioningRefused, match="registered as type fs, described as type s3"):
        provision_search(ProvisionRequest(repository="s3", apply=True))
    kept = api.connect(provisioned, PRODUCTION, "es-1", HAND).call("GET", "/_snapshot/nightly")
    assert kept["nightly"]["type"] == "fs"


def test_a_bucket_that_is_missing_is_told(provisioned):
    with pytest.raises(BucketMissing, match=BUCKET):
        provision_search(ProvisionRequest(repository="s3", apply=True))


@pytest.mark.parametrize("fields", [{"repository": "gcs"}, {"cluster": ""}, {"aply": True}])
def test_bad_input_is_refused_before_the_flow_begins(fields):
    with pytest.raises(ValidationError):
        ProvisionRequest.model_validate(fields)


def test_an_unknown_cluster_is_told_with_the_known_ones(server):
    with pytest.raises(BadInput, match="unknown search cluster 'nowhere'; known: production"):
        provision_search(ProvisionRequest(cluster="nowhere", apply=True))


def test_a_cluster_without_a_provisioner_is_told(server):
    with pytest.raises(BadInput, match="no user for 'provision'"):
        provision_search(ProvisionRequest(cluster="scratch", apply=True))
