from __future__ import annotations

import hashlib
import secrets
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import astuple, replace
from datetime import UTC, date, datetime, timedelta

import pytest
from botocore.awsrequest import AWSResponse

from steward.clients import offsite_uploads, s3
from steward.clients.offsite_bucket import CHECK_KEY, open_offsite_bucket
from steward.clients.offsite_errors import (
    BucketFull,
    BucketNotVersioned,
    BucketUnwritable,
    ContentDiffers,
    LockCannotBeRenewed,
    ObjectUnreadable,
    OffsitePlaceUnnamed,
    WrittenOtherwise,
)
from steward.clients.s3 import (
    BucketMissing,
    BucketWithoutLock,
    ObjectMissing,
    ObjectNotLocked,
    ObjectStoreRefused,
    ObjectStoreUnavailable,
)
from steward.repository.copying import Content, Lock, LockMode, ManifestName, blob_key, manifest_key, root_of
from tests.integration.offsite_ground import admin, content_of, fresh_bucket, offsite

pytestmark = pytest.mark.without_search

BODY = b"a blob"
PART = 5 << 20


@pytest.fixture
def bucket(settings):
    # The evidence bucket, under keys of the test's own: what is locked cannot be cleared away.
    with open_offsite_bucket(offsite(settings, settings.objects.evidence_bucket)) as bucket:
        yield bucket


@pytest.fixture
def key():
    return f"tests/{secrets.token_hex(8)}"


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(offsite_uploads, "PART_BYTES", PART)


def _lock(hours=1, mode=LockMode.GOVERNANCE):
    return Lock(mode, datetime.now(UTC).replace(microsecond=0) + timedelta(hours=hours))


def _put(bucket, key, body=BODY, lock=None, content=None):
    return bucket.put(key, iter([body]), content or content_of(body), lock or _lock())


def _read(bucket, stored):
    return b"".join(bucket.chunks(stored.key, stored.version))


@contextmanager
def _answering(bucket, method, status, code):
    """Requests by *method* for objects of tests get this answer in place of the server's. All others reach it."""

    def answer(request, **_event):
        return _answer(request, status, code) if request.method == method and "tests/" in request.url else None

    events = bucket._bucket.client.meta.events
    events.register("before-send.s3", answer)
    try:
        yield
    finally:
        events.unregister("before-send.s3", answer)


def _answer(request, status, code):
    return AWSResponse(request.url, status, {}, _Raw(f"<Error><Code>{code}</Code></Error>".encode()))


class _Raw:
    def __init__(self, body) -> None:
        self._body = body

    def stream(self, *_args, **_more):
        yield self._body


@pytest.mark.parametrize("mode", LockMode)
def test_what_is_put_is_locked_and_told_as_it_was_sent(bucket, key, mode):
    lock = _lock(mode=mode)
    stored = _put(bucket, key, lock=lock)
    assert (stored.key, stored.mode, stored.locked_until) == (key, mode, lock.until)
    assert stored.holds(content_of(BODY))
    assert stored.version
    assert bucket.state(key, stored.version) == bucket.state(key) == stored
    assert _read(bucket, stored) == BODY


def test_an_empty_blob_is_a_blob(bucket, key):
    assert _read(bucket, _put(bucket, key, b"")) == b""


def test_a_large_blob_goes_in_parts_with_the_sha_256_of_the_whole(bucket, key, small_parts):
    body = secrets.token_bytes(2 * PART + 7)
    cuts = iter([body[: PART + 3], body[PART + 3 :]])
    stored = bucket.put(key, cuts, content_of(body), _lock())
    assert stored.holds(content_of(body))
    assert _read(bucket, stored) == body
    head = bucket._bucket.client.head_object(Bucket=bucket._bucket.name, Key=key, ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"].endswith("-3")
    assert bucket.put(key, iter(()), content_of(body), _lock()) == stored


def test_an_upload_holds_two_parts_in_memory_and_never_the_whole(bucket, key, small_parts):
    piece, times = b"\7" * (1 << 20), 40
    digest = hashlib.sha256(piece * times).hexdigest()
    tracemalloc.start()
    try:
        stored = bucket.put(key, (piece for _ in range(times)), Content(times << 20, digest), _lock())
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert stored.bytes == times << 20
    assert most < 2.5 * PART


def test_parts_grow_only_where_there_would_be_too_many():
    assert offsite_uploads._part_bytes(1 << 30) == offsite_uploads.PART_BYTES
    most = offsite_uploads._part_bytes(offsite_uploads.MOST_BYTES)
    assert most * offsite_uploads.MOST_PARTS >= offsite_uploads.MOST_BYTES


def test_a_repeat_takes_the_version_that_a_killed_try_wrote_and_reads_nothing(bucket, key):
    stored = _put(bucket, key)
    assert bucket.put(key, iter(()), content_of(BODY), _lock()) == stored
    assert len(bucket.versions(key)) == 1


def test_a_repeat_renews_a_lock_that_is_too_short_by_now(bucket, key):
    stored, longer = _put(bucket, key), _lock(5)
    again = _put(bucket, key, lock=longer)
    assert (again.version, again.locked_until) == (stored.version, longer.until)


@pytest.mark.parametrize("lost", ["PUT", "POST"])
def test_an_answer_that_is_lost_makes_no_second_version(bucket, key, small_parts, lost):
    client, sent = bucket._bucket.client, []

    def lose(request, **_event):
        if request.method != lost or sent or request.url.endswith("uploads"):
            return None
        sent.append(client._endpoint.http_session.send(request).status_code)
        return _answer(request, 503, "ServiceUnavailable")

    client.meta.events.register("before-send.s3", lose)
    body = BODY if lost == "PUT" else b"\0" * (PART + 1)
    try:
        stored = _put(bucket, key, body)
    except ObjectStoreUnavailable:
        stored = _put(bucket, key, body)
    assert sent == [200]
    assert [each.version for each in bucket.versions(key)] == [stored.version]


def test_one_that_was_written_at_the_same_moment_is_taken_if_it_is_the_same(bucket, key, monkeypatch):
    stored = _put(bucket, key)
    newest, answers = type(bucket)._newest, iter([None])
    monkeypatch.setattr(type(bucket), "_newest", lambda self, key: next(answers, newest(self, key)))
    assert _put(bucket, key) == stored


def test_another_one_that_was_written_at_the_same_moment_is_no_end(bucket, key, monkeypatch):
    _put(bucket, key, b"another")
    newest, answers = type(bucket)._newest, iter([None])
    monkeypatch.setattr(type(bucket), "_newest", lambda self, key: next(answers, newest(self, key)))
    with pytest.raises(ObjectStoreUnavailable, match="at the same moment"):
        _put(bucket, key)


def test_what_changed_under_a_key_becomes_another_version_and_the_old_one_stays(bucket, key):
    first, second = _put(bucket, key), _put(bucket, key, b"another")
    assert second.version != first.version
    assert _read(bucket, first) == BODY
    assert [each.version for each in bucket.versions(key)] == [first.version, second.version]


def test_versions_tell_what_was_written_first_also_behind_a_deletion_marker(bucket, key):
    first = _put(bucket, key)
    bucket._bucket.client.delete_object(Bucket=bucket._bucket.name, Key=key)
    second = _put(bucket, key, b"another")
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
    stored = _put(bucket, key)
    assert stored.version != foreign
    assert bucket.state(key, foreign).locked_until is None


def test_a_weaker_lock_than_asked_for_is_not_taken_for_ours(bucket, key):
    weak, strong = _put(bucket, key), _put(bucket, key, lock=_lock(mode=LockMode.COMPLIANCE))
    assert weak.version != strong.version
    assert strong.mode is LockMode.COMPLIANCE


@pytest.mark.parametrize("body", [b"short", b"longer than that", b"a bl0b"])
@pytest.mark.parametrize("in_parts", [False, True])
def test_bytes_that_are_not_the_promised_ones_are_completed_nowhere(bucket, key, small_parts, body, in_parts):
    padding = b"\0" * (PART + 1) if in_parts else b""
    with pytest.raises(ContentDiffers, match=key):
        _put(bucket, key, padding + body, content=content_of(padding + BODY))
    assert not bucket.versions(key)
    assert not bucket._bucket.client.list_multipart_uploads(Bucket=bucket._bucket.name, Prefix=key).get("Uploads")


def test_a_source_that_fails_leaves_no_parts_behind(bucket, key, small_parts):
    def failing():
        yield b"\0" * (PART + 1)
        raise OSError

    with pytest.raises(OSError):
        bucket.put(key, failing(), Content(3 * PART, "0" * 64), _lock())
    assert not bucket._bucket.client.list_multipart_uploads(Bucket=bucket._bucket.name, Prefix=key).get("Uploads")


def test_threads_share_a_bucket(bucket, key):
    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(lambda n: _put(bucket, f"{key}/{n}", b"%d" % n), range(24)))
    assert sorted(_read(bucket, each) for each in stored) == sorted(b"%d" % n for n in range(24))


@pytest.mark.parametrize("mode", LockMode)
def test_a_lock_is_renewed_and_read_back(bucket, key, mode):
    stored, lock = _put(bucket, key, lock=_lock(mode=mode)), _lock(9, mode)
    renewed = bucket.renew(key, stored.version, lock)
    assert renewed == replace(stored, locked_until=lock.until) == bucket.state(key, stored.version)


def test_a_lock_that_is_long_and_strong_enough_is_left_alone(bucket, key):
    stored = _put(bucket, key, lock=_lock(9, LockMode.COMPLIANCE))
    assert bucket.renew(key, stored.version, _lock(2)) == stored
    renewed = bucket.renew(key, stored.version, _lock(12))
    assert (renewed.mode, renewed.locked_until) == (LockMode.COMPLIANCE, _lock(12).until)


def test_a_lock_that_lapsed_is_not_renewed(bucket, key):
    stored = _put(bucket, key)
    later = replace(bucket, now=lambda: datetime.now(UTC) + timedelta(hours=2))
    with pytest.raises(LockCannotBeRenewed) as raised:
        later.renew(key, stored.version, _lock(9))
    assert raised.value.why == "lapsed"
    assert bucket.state(key, stored.version) == stored
    assert _put(later, key, lock=_lock(9)).version != stored.version


def test_a_lock_that_is_weaker_than_asked_for_is_not_renewed(bucket, key):
    stored = _put(bucket, key)
    with pytest.raises(LockCannotBeRenewed) as raised:
        bucket.renew(key, stored.version, _lock(9, LockMode.COMPLIANCE))
    assert raised.value.why == "weaker"
    assert bucket.state(key, stored.version) == stored


def test_a_version_that_is_gone_is_missing_to_all_that_ask_for_it(bucket, key):
    client, name = bucket._bucket.client, bucket._bucket.name
    stored = _put(bucket, key)
    client.delete_object(Bucket=name, Key=key, VersionId=stored.version, BypassGovernanceRetention=True)
    for ask in (
        lambda: bucket.state(key, stored.version),
        lambda: bucket.renew(key, stored.version, _lock()),
        lambda: next(bucket.chunks(key, stored.version)),
    ):
        with pytest.raises(ObjectMissing, match=key):
            ask()


def test_manifests_are_found_by_the_cluster_alone_also_behind_a_deletion_marker(bucket):
    cluster, client = f"tests-{secrets.token_hex(4)}", bucket._bucket.client
    written = []
    for uuid, night in [("uuid-1", 30), ("uuid-1", 31), ("uuid_2", 31)]:
        root = root_of(cluster, uuid)
        _put(bucket, blob_key(root, "index-1"))
        name = ManifestName(root, date(2026, 7, night), "S-1")
        written.append((name, _put(bucket, manifest_key(*astuple(name)), b"%d" % night).version))
    _put(bucket, f"{cluster}/uuid-1/manifests/by-hand")
    client.delete_object(Bucket=bucket._bucket.name, Key=manifest_key(*astuple(written[2][0])))
    assert [(name, each.version) for name, each in bucket.manifests(cluster)] == written
    assert not list(bucket.manifests(cluster[:-1]))


def test_check_tries_a_lock_once_a_day_and_reads_it_back(bucket):
    bucket.check(LockMode.GOVERNANCE, 1)
    written = bucket.versions(CHECK_KEY)
    bucket.check(LockMode.GOVERNANCE, 1)
    assert bucket.versions(CHECK_KEY) == written
    newest = bucket.state(CHECK_KEY)
    assert newest.bytes == len("2026-07-31")
    assert newest.locked_until > datetime.now(UTC) + timedelta(days=1)


def test_a_bucket_without_a_lock_or_versions_is_refused_with_the_setting(settings):
    with admin(settings) as client, fresh_bucket(client) as name:
        with pytest.raises(BucketWithoutLock, match=name) as raised:
            _check(offsite(settings, name))
        assert "snapshots.offsite.bucket" in raised.value.hint
        assert not client.list_objects_v2(Bucket=name).get("Contents")


def test_a_bucket_whose_versions_are_suspended_is_refused(bucket, monkeypatch):
    monkeypatch.setattr(bucket._bucket.client, "get_bucket_versioning", lambda **_: {"Status": "Suspended"})
    with pytest.raises(BucketNotVersioned, match="Suspended"):
        bucket.check(LockMode.GOVERNANCE, 1)


def test_a_missing_bucket_is_named(settings):
    with pytest.raises(BucketMissing, match="no bucket absent"):
        _check(offsite(settings, "absent"))


def test_keys_that_are_refused_are_told_by_the_setting(settings, tmp_path):
    file = tmp_path / "key"
    file.write_text("hunter2hunter2")
    wrong = {"access_key": f"file:{file}", "secret_key": f"file:{file}"}
    with pytest.raises(ObjectStoreRefused) as raised:
        _check(offsite(settings, settings.objects.evidence_bucket, **wrong))
    assert "snapshots.offsite.access_key" in raised.value.hint
    assert "hunter2" not in str(raised.value)


def test_settings_that_name_no_bucket_are_told_so(settings):
    settings = settings.model_copy(update={"snapshots": None})
    with pytest.raises(OffsitePlaceUnnamed) as raised, open_offsite_bucket(settings):
        pass
    assert "[snapshots.offsite]" in raised.value.hint


def test_a_store_that_ignores_the_lock_is_found(bucket, key):
    put = bucket._bucket.client.put_object
    bucket._bucket.client.put_object = lambda **asked: put(
        **{name: value for name, value in asked.items() if not name.startswith("ObjectLock")}
    )
    with pytest.raises(ObjectNotLocked, match="locked until never"):
        _put(bucket, key)


def test_a_store_that_keeps_no_checksum_is_found(bucket, key):
    put = bucket._bucket.client.put_object
    bucket._bucket.client.put_object = lambda **asked: put(
        **{name: value for name, value in asked.items() if name != "ChecksumSHA256"}
    )
    with pytest.raises(WrittenOtherwise, match="SHA-256 none"):
        _put(bucket, key)


def test_a_store_without_room_is_told_as_one_that_can_be_read(settings, monkeypatch):
    monkeypatch.setattr(s3, "ATTEMPTS", 1)
    with admin(settings) as client, _without_room(client) as name:
        with open_offsite_bucket(offsite(settings, name)) as bucket, pytest.raises(BucketUnwritable) as raised:
            _put(bucket, "tests/full")
        assert not client.list_object_versions(Bucket=name).get("Versions")
    assert "can be read" in raised.value.message
    assert "full" in raised.value.hint
    assert raised.value.transient


@pytest.mark.parametrize(
    ("status", "code"), [(507, "XMinioStorageFull"), (403, "QuotaExceeded"), (507, "InsufficientStorage")]
)
def test_a_store_that_says_it_is_full_is_not_waited_for(bucket, key, status, code):
    with _answering(bucket, "PUT", status, code), pytest.raises(BucketFull, match="is full") as raised:
        _put(bucket, key)
    assert not raised.value.transient
    assert "none was" in raised.value.hint


def test_an_object_that_the_store_fails_to_hand_out_is_told_apart_from_a_store_that_is_away(settings, key, monkeypatch):
    monkeypatch.setattr(s3, "ATTEMPTS", 1)
    with open_offsite_bucket(offsite(settings, settings.objects.evidence_bucket)) as bucket:
        stored = _put(bucket, key)
        with _answering(bucket, "GET", 500, "InternalError"), pytest.raises(ObjectUnreadable, match=key) as raised:
            _read(bucket, stored)
        with _answering(bucket, "GET", 503, "SlowDown"), pytest.raises(ObjectStoreUnavailable) as patience:
            _read(bucket, stored)
    assert raised.value.transient
    assert not isinstance(patience.value, ObjectUnreadable)


def test_an_upload_that_the_store_forgot_is_tried_again(bucket, key, small_parts):
    body = b"\0" * (PART + 1)
    with (
        _answering(bucket, "POST", 404, "NoSuchUpload"),
        pytest.raises(ObjectStoreUnavailable, match="no longer knows"),
    ):
        _put(bucket, key, body)


def test_nothing_is_written_once_the_guard_says_no(settings, key):
    class Fenced(Exception):
        pass

    def refuse():
        raise Fenced

    with open_offsite_bucket(offsite(settings, settings.objects.evidence_bucket), refuse) as bucket:
        assert not bucket.versions(key)
        with pytest.raises(Fenced):
            _put(bucket, key)
        assert not bucket.versions(key)


def _check(settings):
    with open_offsite_bucket(settings) as bucket:
        bucket.check(LockMode.GOVERNANCE, 1)


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
