"""What is put is there whole, locked and once, whatever is lost or sent again meanwhile, or it is not there at all."""

from __future__ import annotations

import hashlib
import secrets
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest

from steward.clients import offsite_uploads
from steward.clients.offsite_bucket import open_offsite_bucket
from steward.clients.offsite_errors import ContentDiffers
from steward.clients.s3 import ObjectStoreUnavailable
from steward.repository.copying import Content, LockMode
from tests.integration.offsite_bucket.ground import BODY, PART, a_lock, answer_of, put_blob, read_blob
from tests.integration.offsite_ground import content_of, offsite

pytestmark = pytest.mark.without_search


@pytest.mark.parametrize("mode", LockMode)
def test_what_is_put_is_locked_and_told_as_it_was_sent(bucket, key, mode):
    lock = a_lock(mode=mode)
    stored = put_blob(bucket, key, lock=lock)
    assert (stored.key, stored.mode, stored.locked_until) == (key, mode, lock.until)
    assert stored.holds(content_of(BODY))
    assert stored.version
    assert bucket.state(key, stored.version) == bucket.state(key) == stored
    assert read_blob(bucket, stored) == BODY


def test_an_empty_blob_is_a_blob(bucket, key):
    assert read_blob(bucket, put_blob(bucket, key, b"")) == b""


def test_a_large_blob_goes_in_parts_with_the_sha_256_of_the_whole(bucket, key, small_parts):
    body = secrets.token_bytes(2 * PART + 7)
    cuts = iter([body[: PART + 3], body[PART + 3 :]])
    stored = bucket.put(key, cuts, content_of(body), a_lock())
    assert stored.holds(content_of(body))
    assert read_blob(bucket, stored) == body
    head = bucket._bucket.client.head_object(Bucket=bucket._bucket.name, Key=key, ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"].endswith("-3")
    assert bucket.put(key, iter(()), content_of(body), a_lock()) == stored


def test_an_upload_holds_two_parts_in_memory_and_never_the_whole(bucket, key, small_parts):
    piece, times = b"\7" * (1 << 20), 40
    digest = hashlib.sha256(piece * times).hexdigest()
    tracemalloc.start()
    try:
        stored = bucket.put(key, (piece for _ in range(times)), Content(times << 20, digest), a_lock())
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
    stored = put_blob(bucket, key)
    assert bucket.put(key, iter(()), content_of(BODY), a_lock()) == stored
    assert len(bucket.versions(key)) == 1


@pytest.mark.parametrize("lost", ["PUT", "POST"])
def test_an_answer_that_is_lost_makes_no_second_version(bucket, key, small_parts, lost):
    client, sent = bucket._bucket.client, []

    def lose(request, **_event):
        if request.method != lost or sent or request.url.endswith("uploads"):
            return None
        sent.append(client._endpoint.http_session.send(request).status_code)
        return answer_of(request, 503, "ServiceUnavailable")

    client.meta.events.register("before-send.s3", lose)
    body = BODY if lost == "PUT" else b"\0" * (PART + 1)
    try:
        stored = put_blob(bucket, key, body)
    except ObjectStoreUnavailable:
        stored = put_blob(bucket, key, body)
    assert sent == [200]
    assert [each.version for each in bucket.versions(key)] == [stored.version]


def test_one_that_was_written_at_the_same_moment_is_taken_if_it_is_the_same(bucket, key, monkeypatch):
    stored = put_blob(bucket, key)
    newest, answers = type(bucket)._newest, iter([None])
    monkeypatch.setattr(type(bucket), "_newest", lambda self, key: next(answers, newest(self, key)))
    assert put_blob(bucket, key) == stored


def test_another_one_that_was_written_at_the_same_moment_is_no_end(bucket, key, monkeypatch):
    put_blob(bucket, key, b"another")
    newest, answers = type(bucket)._newest, iter([None])
    monkeypatch.setattr(type(bucket), "_newest", lambda self, key: next(answers, newest(self, key)))
    with pytest.raises(ObjectStoreUnavailable, match="at the same moment"):
        put_blob(bucket, key)


@pytest.mark.parametrize("body", [b"short", b"longer than that", b"a bl0b"])
@pytest.mark.parametrize("in_parts", [False, True])
def test_bytes_that_are_not_the_promised_ones_are_completed_nowhere(bucket, key, small_parts, body, in_parts):
    padding = b"\0" * (PART + 1) if in_parts else b""
    with pytest.raises(ContentDiffers, match=key):
        put_blob(bucket, key, padding + body, content=content_of(padding + BODY))
    assert not bucket.versions(key)
    assert not bucket._bucket.client.list_multipart_uploads(Bucket=bucket._bucket.name, Prefix=key).get("Uploads")


def test_a_source_that_fails_leaves_no_parts_behind(bucket, key, small_parts):
    def failing():
        yield b"\0" * (PART + 1)
        raise OSError

    with pytest.raises(OSError):
        bucket.put(key, failing(), Content(3 * PART, "0" * 64), a_lock())
    assert not bucket._bucket.client.list_multipart_uploads(Bucket=bucket._bucket.name, Prefix=key).get("Uploads")


def test_threads_share_a_bucket(bucket, key):
    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(lambda n: put_blob(bucket, f"{key}/{n}", b"%d" % n), range(24)))
    assert sorted(read_blob(bucket, each) for each in stored) == sorted(b"%d" % n for n in range(24))


def test_nothing_is_written_once_the_guard_says_no(settings, key):
    class Fenced(Exception):
        pass

    def refuse():
        raise Fenced

    with open_offsite_bucket(offsite(settings, settings.objects.evidence_bucket), refuse) as bucket:
        assert not bucket.versions(key)
        with pytest.raises(Fenced):
            put_blob(bucket, key)
        assert not bucket.versions(key)
