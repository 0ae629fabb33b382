"""The proof on real servers: what cannot be proved is said by name, what is lost is UNKNOWN, what is resumed is sound."""

import json

import pytest

from steward.clients.elasticsearch import open_search
from steward.clients.elasticsearch_errors import (
    CertificateRefused,
    LoginRefused,
    NotPermitted,
    SearchAway,
    SearchRefused,
)
from steward.errors import BadInput, is_transient
from steward.snapshots.errors import CopyInTheWay, IndexNotFound, SnapshotNameTaken
from steward.snapshots.moments import Moments, close_points_in_time, keep_open, open_moment
from steward.snapshots.proof import prove
from steward.snapshots.restoring import Restored, drop_restored, index_uuids, restore
from steward.snapshots.taking import SnapshotTaken, take_snapshot
from steward.verdicts import Verdict
from tests.proving import REPOSITORY, Night, staged

DOCUMENTS = 90


@pytest.fixture
def stage(settings):
    with staged(settings) as made:
        yield made


@pytest.fixture
def filled(stage):
    stage.create()
    stage.write(DOCUMENTS)
    return stage


def changed(settings, **parts):
    """Settings whose production cluster differs in *parts*."""
    described = settings.cluster("production").model_copy(update=parts)
    return settings.model_copy(update={"search": {**settings.search, "production": described}})


def ask(settings):
    with open_search(settings, "production", "snapshot") as client:
        return client.request("GET", "/_cluster/health")


def test_a_wrong_password_is_refused_by_name_and_not_repeated_in_the_error(settings, tmp_path):
    (tmp_path / "password").write_text("not-the-password")
    user = settings.cluster("production").users["snapshot"].model_copy(update={"password": f"file:{tmp_path}/password"})
    with pytest.raises(LoginRefused, match="wrong password") as raised:
        ask(changed(settings, users={"snapshot": user}))
    assert "not-the-password" not in repr(raised.value) + str(raised.value)
    assert raised.value.hint
    assert not is_transient(raised.value)


def test_a_wrong_ca_is_told_apart_from_a_cluster_that_is_away(settings, tmp_path):
    with pytest.raises(CertificateRefused, match="was not accepted"):
        # The system's own authorities: real, and none of them issued this certificate.
        ask(changed(settings, ca_file=None))
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(BadInput, match="is not usable"):
        ask(changed(settings, ca_file=tmp_path / "ca.pem"))


def test_a_cluster_that_is_away_is_transient_and_one_node_that_is_away_is_nothing(settings):
    away = "https://127.0.0.1:1"
    with pytest.raises(SearchAway, match="does not answer") as raised:
        ask(changed(settings, hosts=[away]))
    assert is_transient(raised.value)
    assert ask(changed(settings, hosts=[away, *settings.cluster("production").hosts]))["number_of_nodes"] > 0


def test_a_missing_privilege_is_named(settings):
    with open_search(settings, "production", "snapshot") as client:
        with pytest.raises(NotPermitted, match="create_index"):
            client.request("PUT", "/tenant-not-permitted")
        with pytest.raises(SearchRefused, match="parsing_exception") as raised:
            client.request("POST", "/tenant-*/_search", {"query": {"no such query": {}}})
    assert raised.value.status == 400


def test_an_unknown_cluster_or_purpose_is_named_before_anything_is_sent(settings):
    with (
        pytest.raises(BadInput, match="unknown search cluster 'nowhere'"),
        open_search(settings, "nowhere", "snapshot"),
    ):
        pass
    with pytest.raises(BadInput, match="no user for 'nobody'"), open_search(settings, "production", "nobody"):
        pass


def test_a_password_in_a_host_is_refused_and_not_echoed(settings):
    with pytest.raises(BadInput) as raised:
        ask(changed(settings, hosts=["https://snapshot:hunter2@127.0.0.1:9200"]))
    assert "hunter2" not in str(raised.value)


def test_what_travels_between_tasks_is_json(filled):
    night = filled.night()
    for value in (night.m0, night.taken, night.restored, night.prove()):
        assert type(value).model_validate(json.loads(json.dumps(value.model_dump(mode="json")))) == value
    assert isinstance(night.taken, SnapshotTaken)
    assert isinstance(night.restored, Restored)
    assert night.taken.bytes > 0 < night.taken.files
    assert night.restored.bytes > 0 < night.restored.seconds


def test_decimals_keep_their_digits_and_nested_and_routed_documents_are_proved(stage):
    stage.create()
    document = b'{"amount": 1.10, "big": 12345678901234567890123, "members": [{"name": "a"}, {"name": "b"}]}'
    for routing in "abcdefgh":
        stage.tenants.raw("PUT", f"/{stage.index}/_doc/same?routing={routing}", document)
    content = stage.night().content()
    assert (content.verdict, content.documents) == (Verdict.VERIFIED, content.unchanged)
    # The same _id lives once a shard; nested children count as nothing.
    assert content.documents == 2
    assert content.bytes == 2 * len(document)


def test_documents_with_versions_from_outside_are_proved_without_relying_on_them(stage):
    stage.create()
    base = 1_790_000_000_000
    for n in range(20):
        stage.tenants.request("PUT", f"/{stage.index}/_doc/{n}?version={base}&version_type=external", {"n": n})
    m0 = stage.moment()
    stage.take(m0)
    for n in range(10):
        stage.tenants.request("PUT", f"/{stage.index}/_doc/{n}?version={base + 1}&version_type=external", {"n": -n})
    m1 = open_moment(stage.source, [stage.index], hold=False, on_opened=stage.opened.extend)
    night = stage.restore()
    content = prove(stage.source, stage.scratch, m0, night, m1).indices[0]
    assert content.verdict is Verdict.VERIFIED
    # Nothing happened before the commit, which the bounds tell without any version.
    assert content.attributed == {"created": 0, "updated": 10, "deleted": 0}


@pytest.mark.parametrize(
    ("settings_", "mappings", "said"),
    [
        ({"index.mapping.source.mode": "synthetic"}, {"properties": {"n": {"type": "long"}}}, "synthetic"),
        ({}, {"_source": {"enabled": False}}, "disabled"),
        ({}, {"_source": {"excludes": ["secret"]}}, "stored in part"),
        ({"index.disable_sequence_numbers": True}, {}, "disable_sequence_numbers"),
    ],
)
def test_an_index_that_cannot_be_proved_is_unknown_with_its_reason(stage, settings_, mappings, said):
    stage.create(settings_, mappings)
    content = stage.night().content()
    assert content.verdict is Verdict.UNKNOWN
    assert said in content.findings[0].fact
    assert (content.documents, content.moment_lost) == (0, False)


def close(stage):
    """A node that is busy leaves a shard open, and the index with it: the answer says so, and it is asked again."""
    for _ in range(10):
        answer = stage.provision.request("POST", f"/{stage.index}/_close")
        if all(each["closed"] for each in answer["indices"].values()):
            return
    pytest.fail(f"{stage.index} stays open: {answer}")


def test_a_closed_index_is_unknown_with_its_reason(filled):
    close(filled)
    content = filled.night().content()
    assert content.verdict is Verdict.UNKNOWN
    assert "closed index" in content.findings[0].fact


def test_an_index_that_does_not_exist_is_named(stage):
    with pytest.raises(IndexNotFound, match=stage.index):
        stage.moment()


def test_a_lost_point_in_time_is_unknown_and_a_new_attempt_is_asked_for(filled):
    night = filled.night()
    close_points_in_time(filled.source, night.m0.pits[:1])
    content = night.content()
    assert (content.verdict, content.moment_lost, content.digest) == (Verdict.UNKNOWN, True, "")
    assert f"PIT0 of {filled.index}[0] is gone" in content.findings[0].fact
    keep_open(filled.source, night.m0)


def test_an_index_made_anew_in_the_window_is_unknown(filled):
    m0 = filled.moment()
    filled.provision.request("DELETE", f"/{filled.index}")
    filled.create()
    filled.write(DOCUMENTS)
    taken = filled.take(m0)
    night = Night(filled, m0, taken, filled.restore())
    content = night.content()
    assert (content.verdict, content.moment_lost) == (Verdict.UNKNOWN, True)
    assert "made anew" in content.findings[0].fact


def test_a_snapshot_is_taken_once_and_another_runs_name_is_refused(filled):
    m0 = filled.moment()
    first = filled.take(m0)
    again = filled.take(m0)
    assert (first.uuid, first.started_at) == (again.uuid, again.started_at)
    # A later PIT1 is as sound as the first, only wider.
    night = filled.restore()
    assert prove(filled.source, filled.scratch, m0, night, again.moments).verdict is Verdict.VERIFIED
    with pytest.raises(SnapshotNameTaken):
        take_snapshot(filled.source, REPOSITORY, filled.snapshot, [filled.index], m0, {"by": "another"})


def test_a_restore_that_was_cut_off_is_made_again_and_an_index_of_others_is_left_alone(filled):
    night = filled.night()
    again = filled.restore()
    assert again.uuids.keys() == night.restored.uuids.keys()
    assert again.uuids != night.restored.uuids
    assert drop_restored(filled.scratch, night.restored.uuids) == []
    assert index_uuids(filled.scratch, [filled.copy]) == again.uuids
    assert drop_restored(filled.scratch, again.uuids) == [filled.copy]
    filled.scratch.request("PUT", f"/{filled.copy}")
    with pytest.raises(CopyInTheWay, match=filled.copy):
        filled.restore()


def test_an_index_missing_in_the_snapshot_is_refuted(filled):
    night = filled.night()
    absent = f"{filled.index}-gone"
    facts = {**night.m0.indices, absent: night.m0.indices[filled.index]}
    m0 = Moments(moments=night.m0.moments, indices=facts)
    restored = restore(filled.scratch, REPOSITORY, filled.snapshot, [filled.index, absent], filled.prefix)
    night = Night(filled, m0, night.taken, restored)
    contents = {content.index: content for content in night.prove().indices}
    assert contents[filled.index].verdict is Verdict.VERIFIED
    assert contents[absent].verdict is Verdict.REFUTED
    assert contents[absent].findings[0].fact == "missing in the snapshot"


def test_an_empty_index_is_verified(stage):
    stage.create()
    content = stage.night().content()
    assert (content.verdict, content.documents) == (Verdict.VERIFIED, 0)
    assert content.digest.startswith("steward-content-v1:0:")


def test_aliases_are_restored_and_lifecycle_and_allocation_settings_are_not(filled):
    filled.provision.request("PUT", f"/{filled.index}/_alias/{filled.index}-alias")
    filled.provision.request("PUT", f"/{filled.index}/_settings", {"index.routing.allocation.exclude._name": "nobody"})
    filled.night()
    copy = filled.scratch.request("GET", f"/{filled.copy}")[filled.copy]
    assert list(copy["aliases"]) == [f"{filled.index}-alias"]
    index = copy["settings"]["index"]
    assert "exclude" not in index.get("routing", {}).get("allocation", {})
    assert (index["number_of_replicas"], index["blocks"], index["refresh_interval"]) == ("0", {"write": "true"}, "-1")
