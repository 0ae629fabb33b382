"""Provisioning against the replica's own three nodes: what differs is found, put, read back; what must not be, is not."""

from __future__ import annotations

import json
import secrets
import shutil
import tomllib
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from deployments.elasticsearch.__main__ import HERE
from replica.elasticsearch import api, configuration
from replica.elasticsearch.clusters import HAND, PRODUCTION
from replica.server import Place
from steward.clients.elasticsearch import SearchClient, open_search
from steward.clients.elasticsearch_errors import LoginRefused, NotPermitted, SearchAway
from steward.clients.s3 import BucketMissing, _client
from steward.clients.s3_locks import has_object_lock
from steward.errors import BadInput
from steward.search import changes
from steward.search.actual import read_actual, read_repository, read_template
from steward.search.description import SearchDescription
from steward.search.desired import Desired, desired_state
from steward.search.errors import ProvisioningRefused
from steward.search.provisioning import Part, ProvisionPlan, plan_provisioning
from steward.search.roles import production_roles
from steward.search.rolestores import FileRoles
from steward.settings import Settings
from tasks import search as tasks
from tests.provisioning import CLUSTER, add_roles, bare, provision, written

# The filtered settings, which the server never lists: those that the replica's own nodes are started with.
CERTIFICATES = {"key", "certificate", "certificate_authorities", "supported_protocols", "client_authentication"}


@pytest.fixture
def provisioner(settings: Settings) -> Generator[SearchClient]:
    with open_search(settings, CLUSTER, "provision") as client:
        yield client


@pytest.fixture
def hand(replica: Place) -> api.Api:
    return api.connect(replica, PRODUCTION, "es-1", HAND)


@pytest.fixture
def provisioned(in_replica: Place) -> Place:
    provision()
    return in_replica


def plan() -> ProvisionPlan:
    return bare(tasks.compare_cluster)(CLUSTER, "fs")


def apply() -> None:
    for put in (tasks.put_roles, tasks.put_template, tasks.put_repository, tasks.put_cluster_settings):
        bare(put)(CLUSTER, "fs")


def described(repository: str = "nightly", location: str = ".") -> Desired:
    fields = tomllib.loads((HERE / "search.toml").read_text())
    fields["repository"] |= {"name": repository, "fs": {"location": location}}
    return desired_state(SearchDescription.model_validate(fields), "fs", production_roles())


def test_every_rendered_setting_is_known_to_the_server(settings):
    with open_search(settings, CLUSTER, "monitoring") as client:
        answer = client.request("GET", "/_cluster/settings?include_defaults=true&flat_settings=true")
    known = answer["defaults"].keys() | answer["persistent"].keys() | answer["transient"].keys()
    tls = {f"xpack.security.{layer}.ssl.{name}" for layer in ("http", "transport") for name in CERTIFICATES}
    known |= tls | {"xpack.security.transport.ssl.verification_mode"}
    for node in sorted((HERE / "nodes").iterdir()):
        rendered = yaml.safe_load((node / "elasticsearch.yml").read_text())
        # The module repository-s3 is part of the described distribution, and not of the replica's.
        unknown = {key for key in rendered if key not in known and key != "s3.client.default.region"}
        assert not unknown


def test_after_a_change_the_cluster_is_as_described_and_a_second_change_does_nothing(provisioned):
    assert plan().as_described
    files = {path: written(path) for path in role_files(provisioned)}
    template = read_whole_template(provisioned)
    apply()
    assert {path: written(path) for path in role_files(provisioned)} == files
    assert read_whole_template(provisioned) | {"modified_date_millis": 0} == template | {"modified_date_millis": 0}
    assert bare(tasks.verify_repository)(CLUSTER, "fs") == ("es-1", "es-2", "es-3")


def role_files(place: Place) -> list[Path]:
    return [configuration.folder(place, node) / "roles.yml" for node in PRODUCTION.nodes]


def read_whole_template(place: Place) -> dict:
    answer = api.connect(place, PRODUCTION, "es-1", HAND).call("GET", "/_index_template/tenant")
    return answer["index_templates"][0]["index_template"]


def test_drift_in_every_part_is_named_and_put_right(provisioned, hand):
    drift(provisioned, hand)
    found = {(each.part, each.name) for each in plan().differences}
    assert found == {
        (Part.ROLE, "steward_monitoring"),
        (Part.TEMPLATE, "tenant"),
        (Part.REPOSITORY, "nightly"),
        (Part.SETTING, "cluster.routing.allocation.disk.watermark.low"),
        (Part.SETTING, "action.destructive_requires_name"),
    }
    apply()
    assert plan().as_described
    assert "auditor" in yaml.safe_load(role_files(provisioned)[1].read_text())


def drift(place: Place, hand: api.Api) -> None:
    add_roles(role_files(place)[1], {"steward_monitoring": {"cluster": ["all"]}, "auditor": {"cluster": []}})
    template = json.loads((HERE / "tenant_template.json").read_text())
    template["template"]["mappings"]["dynamic"] = "true"
    hand.call("PUT", "/_index_template/tenant", template)
    registered = hand.call("GET", "/_snapshot/nightly")["nightly"]
    slow = registered["settings"] | {"max_snapshot_bytes_per_sec": "10mb"}
    hand.call("PUT", "/_snapshot/nightly?verify=false", {"type": "fs", "settings": slow})
    low, named = "cluster.routing.allocation.disk.watermark.low", "action.destructive_requires_name"
    hand.call("PUT", "/_cluster/settings", {"persistent": {low: "80%"}, "transient": {named: True}})


def test_comparing_changes_nothing(provisioned, hand):
    drift(provisioned, hand)
    before = cluster_version(hand)
    first, second = plan(), plan()
    assert first == second
    assert cluster_version(hand) == before
    apply()


def cluster_version(hand: api.Api) -> int:
    # Moving shards is the cluster's own business: it is let come to rest first.
    hand.call("GET", "/_cluster/health?wait_for_events=languid&timeout=20s", timeout_seconds=25)
    return hand.call("GET", "/_cluster/state/version")["version"]


@pytest.fixture
def spare(replica: Place, hand: api.Api, provisioner: SearchClient) -> Generator[Desired]:
    """A repository beside the real one, called as its folder is, with one snapshot in it."""
    name = f"spare-{secrets.token_hex(4)}"
    desired = described(name, name)
    changes.put_repository(provisioner, CLUSTER, desired)
    try:
        snapshot(hand, name, "first")
        yield desired
    finally:
        hand.call("DELETE", f"/_snapshot/{name}")
        shutil.rmtree(configuration.repository(replica) / name)


def snapshot(hand: api.Api, repository: str, name: str) -> None:
    path = f"/_snapshot/{repository}/{name}?wait_for_completion=true"
    hand.call("PUT", path, {"indices": "-*"}, timeout_seconds=30)


def test_a_repository_marked_corrupted_is_refused_and_keeps_its_mark(replica, hand, provisioner, settings, spare):
    name = spare.repository_name
    corrupt(configuration.repository(replica) / name, hand)
    actual = read_actual(provisioner, FileRoles(settings.cluster(CLUSTER).role_files), name)
    found = plan_provisioning(CLUSTER, spare, actual)
    assert any(f"{name} is marked corrupted" in refusal for refusal in found.refusals)
    with pytest.raises(ProvisioningRefused):
        changes.put_repository(provisioner, CLUSTER, spare)
    marked = read_repository(provisioner, spare.repository_name)
    assert marked
    assert marked.corrupted


def corrupt(folder: Path, hand: api.Api) -> None:
    """What another hand in the folder does: the list of snapshots is gone, and a later one is there."""
    (folder / "index-0").rename(folder / "index-7")
    with pytest.raises(api.Refused, match="concurrent modification"):
        snapshot(hand, folder.name, "second")


def test_a_repository_is_not_moved_away_from_its_snapshots(provisioner, spare):
    moved = replace(spare, repository={"type": "fs", "settings": {"location": "elsewhere"}})
    with pytest.raises(ProvisioningRefused):
        changes.put_repository(provisioner, CLUSTER, moved)
    kept = read_repository(provisioner, spare.repository_name)
    assert kept
    assert kept.body == spare.repository


def test_an_absolute_location_is_the_same_place_as_a_relative_one(replica, hand, provisioner, spare):
    name = spare.repository_name
    absolute = str(configuration.repository(replica) / name)
    hand.call("PUT", f"/_snapshot/{name}", {"type": "fs", "settings": {"location": absolute}}, timeout_seconds=30)
    kept = read_repository(provisioner, spare.repository_name)
    assert kept
    assert kept.body == spare.repository


def test_a_bucket_with_object_lock_is_known_as_such(settings):
    s3 = _client(settings.objects, settings.vault)
    s3.create_bucket(Bucket="plain-snapshots")
    try:
        assert has_object_lock(settings, settings.objects.evidence_bucket)
        assert not has_object_lock(settings, "plain-snapshots")
        with pytest.raises(BucketMissing, match="no-such-bucket"):
            has_object_lock(settings, "no-such-bucket")
    finally:
        s3.delete_bucket(Bucket="plain-snapshots")
        s3.close()


def test_the_provisioner_reads_and_writes_no_document_and_restores_nothing(provisioned, provisioner):
    for method, path in (
        ("POST", "/tenant-none/_doc"),
        ("GET", "/_security/role"),
        ("POST", "/_snapshot/nightly/none/_restore"),
        ("DELETE", "/_snapshot/nightly"),
    ):
        with pytest.raises(NotPermitted):
            provisioner.request(method, path, {} if method == "POST" else None)


def test_a_template_takes_any_document_and_its_mapping_stays(provisioned, provisioner, settings):
    provisioner.request("PUT", "/tenant-mapping-test-000001")
    try:
        before = provisioner.request("GET", "/tenant-mapping-test-000001/_mapping")
        with open_search(settings, CLUSTER, "tenants") as client:
            for number, document in enumerate(strange_documents()):
                client.request("PUT", f"/tenant-mapping-test-000001/_doc/{number}?refresh=true", document)
            assert ids(client, {"match": {"documentation": "wordy"}}) == ["2"]
            assert ids(client, {"term": {"labels.version": "2014-11-13"}}) == ["2"]
            assert ids(client, member("one", "second")) == []
            assert ids(client, member("one", "first")) == ["2"]
        assert provisioner.request("GET", "/tenant-mapping-test-000001/_mapping") == before
    finally:
        provisioner.request("DELETE", "/tenant-mapping-test-000001")


def member(name: str, words: str) -> dict:
    both = [{"term": {"members.name": name}}, {"match": {"members.documentation": words}}]
    return {"nested": {"path": "members", "query": {"bool": {"must": both}}}}


def ids(client: SearchClient, query: dict) -> list[str]:
    answer = client.request("POST", "/tenant-mapping-test-000001/_search", {"query": query, "_source": False})
    return [hit["_id"] for hit in answer["hits"]["hits"]]


def strange_documents() -> list[dict]:
    deep: dict = {}
    for level in range(200):
        deep = {f"level{level}": deep}
    return [
        {f"unknown{number}": number for number in range(3000)},
        {"body": deep | {"mixed": [1, "text", {"x": None}]}, "name": "n" * 40_000, "labels": {"long": "l" * 40_000}},
        {
            "documentation": "Wordy words.",
            "labels": {"version": "2014-11-13"} | {f"key{number}": "v" for number in range(2000)},
            "members": [
                {"name": "one", "documentation": "the first", "other": 1},
                {"name": "two", "documentation": "the second"},
            ],
        },
    ]


def test_a_write_to_a_tenant_that_was_never_onboarded_makes_no_index(provisioned, hand):
    with pytest.raises(api.Refused) as refused:
        hand.call("POST", "/tenant-never-onboarded/_doc", {"name": "x"})
    assert refused.value.status == 404


def test_what_stops_a_comparison_is_told_before_anything_is_touched(settings, tmp_path):
    described_cluster = settings.cluster(CLUSTER)
    away = described_cluster.model_copy(update={"hosts": ["https://127.0.0.1:1"]})
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong")
    user = described_cluster.users["provision"].model_copy(update={"password": f"file:{wrong}"})
    locked_out = described_cluster.model_copy(update={"users": {"provision": user}})
    for cluster, error in ((away, SearchAway), (locked_out, LoginRefused)):
        changed = settings.model_copy(update={"search": {CLUSTER: cluster}})
        with pytest.raises(error) as told, open_search(changed, CLUSTER, "provision") as client:
            read_template(client)
        assert told.value.hint
    with pytest.raises(BadInput, match="unknown search cluster 'nowhere'"):
        settings.cluster("nowhere")
