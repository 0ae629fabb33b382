"""What a store does wrong is found at once and told by its cause: ignored locks and checksums, no room, no answer."""

from __future__ import annotations

import secrets
from contextlib import contextmanager

import pytest

from steward.clients import s3
from steward.clients.offsite_bucket import open_offsite_bucket
from steward.clients.offsite_errors import BucketFull, BucketUnwritable, ObjectUnreadable, WrittenOtherwise
from steward.clients.s3 import ObjectNotLocked, ObjectStoreUnavailable
from tests.integration.offsite_bucket.ground import PART, answering, put_blob, read_blob
from tests.integration.offsite_ground import admin, offsite

pytestmark = pytest.mark.without_search


def test_a_store_that_ignores_the_lock_is_found(bucket, key):
    put = bucket._bucket.client.put_object
    bucket._bucket.client.put_object = lambda **asked: put(
        **{name: value for name, value in asked.items() if not name.startswith("ObjectLock")}
    )
    with pytest.raises(ObjectNotLocked, match="locked until never"):
        put_blob(bucket, key)


def test_a_store_that_keeps_no_checksum_is_found(bucket, key):
    put = bucket._bucket.client.put_object
    bucket._bucket.client.put_object = lambda **asked: put(
        **{name: value for name, value in asked.items() if name != "ChecksumSHA256"}
    )
    with pytest.raises(WrittenOtherwise, match="SHA-256 none"):
        put_blob(bucket, key)


def test_a_store_without_room_is_told_as_one_that_can_be_read(settings, monkeypatch):
    monkeypatch.setattr(s3, "ATTEMPTS", 1)
    with admin(settings) as client, _without_room(client) as name:
        with open_offsite_bucket(offsite(settings, name)) as bucket, pytest.raises(BucketUnwritable) as raised:
            put_blob(bucket, "tests/full")
        assert not client.list_object_versions(Bucket=name).get("Versions")
    assert "can be read" in raised.value.message
    assert "full" in raised.value.hint
    assert raised.value.transient


@pytest.mark.parametrize(
    ("status", "code"), [(507, "XMinioStorageFull"), (403, "QuotaExceeded"), (507, "InsufficientStorage")]
)
def test_a_store_that_says_it_is_full_is_not_waited_for(bucket, key, status, code):
    with answering(bucket, "PUT", status, code), pytest.raises(BucketFull, match="is full") as raised:
        put_blob(bucket, key)
    assert not raised.value.transient
    assert "none was" in raised.value.hint


def test_an_object_that_the_store_fails_to_hand_out_is_told_apart_from_a_store_that_is_away(settings, key, monkeypatch):
    monkeypatch.setattr(s3, "ATTEMPTS", 1)
    with open_offsite_bucket(offsite(settings, settings.objects.evidence_bucket)) as bucket:
        stored = put_blob(bucket, key)
        with answering(bucket, "GET", 500, "InternalError"), pytest.raises(ObjectUnreadable, match=key) as raised:
            read_blob(bucket, stored)
        with answering(bucket, "GET", 503, "SlowDown"), pytest.raises(ObjectStoreUnavailable) as patience:
            read_blob(bucket, stored)
    assert raised.value.transient
    assert not isinstance(patience.value, ObjectUnreadable)


def test_an_upload_that_the_store_forgot_is_tried_again(bucket, key, small_parts):
    body = b"\0" * (PART + 1)
    with (
        answering(bucket, "POST", 404, "NoSuchUpload"),
        pytest.raises(ObjectStoreUnavailable, match="no longer knows"),
    ):
        put_blob(bucket, key, body)


@contextmanager
def _without_room(client):
    """A bucket that gets no volume: others have them all until afterwards."""
    made = []
    try:
        while _has_room(client, made):
            pass
        yield made[-1]
    finally:
        for name in made:
            for held in client.list_object_versions(Bucket=name).get("Versions", []):
                client.delete_object(Bucket=name, Key=held["Key"], VersionId=held["VersionId"])
            client.delete_bucket(Bucket=name)


def _has_room(client, made):
    """Whether another bucket takes a byte. The replica has 64 volumes, and each bucket gets seven."""
    made.append(f"full-{secrets.token_hex(6)}")
    assert len(made) < 64
    client.create_bucket(Bucket=made[-1], ObjectLockEnabledForBucket=True)
    try:
        client.put_object(Bucket=made[-1], Key="one", Body=b"1")
    except client.exceptions.ClientError:
        return False
    return True
