"""Every version stays and is found, also behind a deletion marker, and none is taken for another one's."""

from __future__ import annotations

import secrets
from dataclasses import astuple
from datetime import date

import pytest

from steward.clients.s3 import ObjectMissing
from steward.repository.copying import LockMode, ManifestName, blob_key, manifest_key, root_of
from tests.integration.offsite_bucket.ground import BODY, a_lock, put_blob, read_blob
from tests.integration.offsite_ground import content_of

pytestmark = pytest.mark.without_search


def test_what_changed_under_a_key_becomes_another_version_and_the_old_one_stays(bucket, key):
    first, second = put_blob(bucket, key), put_blob(bucket, key, b"another")
    assert second.version != first.version
    assert read_blob(bucket, first) == BODY
    assert [each.version for each in bucket.versions(key)] == [first.version, second.version]


def test_versions_tell_what_was_written_first_also_behind_a_deletion_marker(bucket, key):
    first = put_blob(bucket, key)
    bucket._bucket.client.delete_object(Bucket=bucket._bucket.name, Key=key)
    second = put_blob(bucket, key, b"another")
    found = bucket.versions(f"{key}")
    assert [(each.key, each.version, each.bytes) for each in found] == [
        (key, first.version, 6),
        (key, second.version, 7),
    ]


def test_what_lies_there_without_a_lock_is_not_taken_for_ours(bucket, key):
    client = bucket._bucket.client
    sent = {"ChecksumAlgorithm": "SHA256", "Metadata": {"sha256": content_of(BODY).sha256}}
    foreign = client.put_object(Bucket=bucket._bucket.name, Key=key, Body=BODY, **sent)["VersionId"]
    assert bucket.state(key, foreign).locked_until is None
    stored = put_blob(bucket, key)
    assert stored.version != foreign
    assert bucket.state(key, foreign).locked_until is None


def test_a_weaker_lock_than_asked_for_is_not_taken_for_ours(bucket, key):
    weak, strong = put_blob(bucket, key), put_blob(bucket, key, lock=a_lock(mode=LockMode.COMPLIANCE))
    assert weak.version != strong.version
    assert strong.mode is LockMode.COMPLIANCE


def test_a_version_that_is_gone_is_missing_to_all_that_ask_for_it(bucket, key):
    client, name = bucket._bucket.client, bucket._bucket.name
    stored = put_blob(bucket, key)
    client.delete_object(Bucket=name, Key=key, VersionId=stored.version, BypassGovernanceRetention=True)
    for ask in (
        lambda: bucket.state(key, stored.version),
        lambda: bucket.renew(key, stored.version, a_lock()),
        lambda: next(bucket.chunks(key, stored.version)),
    ):
        with pytest.raises(ObjectMissing, match=key):
            ask()


def test_manifests_are_found_by_the_cluster_alone_also_behind_a_deletion_marker(bucket):
    cluster, client = f"tests-{secrets.token_hex(4)}", bucket._bucket.client
    written = []
    for uuid, night in [("uuid-1", 30), ("uuid-1", 31), ("uuid_2", 31)]:
        root = root_of(cluster, uuid)
        put_blob(bucket, blob_key(root, "index-1"))
        name = ManifestName(root, date(2026, 7, night), "S-1")
        written.append((name, put_blob(bucket, manifest_key(*astuple(name)), b"%d" % night).version))
    put_blob(bucket, f"{cluster}/uuid-1/manifests/by-hand")
    client.delete_object(Bucket=bucket._bucket.name, Key=manifest_key(*astuple(written[2][0])))
    assert [(name, each.version) for name, each in bucket.manifests(cluster)] == written
    assert not list(bucket.manifests(cluster[:-1]))
