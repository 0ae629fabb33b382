"""A repository of Elasticsearch's own copied into a bucket that locks: what goes up, what is renewed, what is found."""

from __future__ import annotations

import dataclasses
import secrets
from datetime import UTC, datetime, timedelta

import pytest
from botocore.awsrequest import AWSResponse

from replica import inventory
from steward.clients.offsite_bucket import open_offsite_bucket
from steward.clients.offsite_copying import RepositoryUnsteady
from steward.clients.offsite_errors import BucketFull, CopyOfAnother
from steward.clients.offsite_fetching import documents, read_document
from steward.clients.offsite_terms import tonights
from steward.errors import Unavailable
from steward.repository.copying import SLACK_DAYS, Lock, LockMode, blob_key, lock_end, root_of
from steward.repository.errors import BlobsAway
from steward.settings import load
from steward.verdicts import Verdict
from tests.integration.copying_ground import LOCK_DAYS, TODAY, Moving, Offsite, bodies, facts
from tests.integration.offsite_ground import content_of
from tests.integration.offsite_ground import offsite as with_offsite
from tests.unit.repository.sample import CATALOGUE, Memory, flipped, sample

pytestmark = pytest.mark.without_search


@pytest.fixture(scope="module")
def bucket(replica):
    settings = load(inventory.settings_file(replica))
    with open_offsite_bucket(with_offsite(settings, settings.objects.evidence_bucket)) as bucket:
        yield bucket


@pytest.fixture
def offsite(bucket):
    return Offsite(bucket, sample())


@pytest.fixture
def copied(offsite):
    offsite.copy()
    return offsite


def data_path(offsite):
    return next(path for path in offsite.blobs if "/__" in path and path in {e.path for e in offsite.manifest.entries})


def test_a_copy_is_the_closure_locked_and_pinned(offsite):
    outcome = offsite.copy()
    assert not outcome.findings
    assert bodies(offsite, outcome.manifest) == {e.path: offsite.blobs[e.path] for e in offsite.manifest.entries}
    assert (outcome.uploaded, outcome.renewed, outcome.kept) == (len(offsite.manifest.entries), 0, 0)
    assert outcome.uploaded_bytes == sum(e.bytes for e in offsite.manifest.entries)
    until = lock_end(TODAY, LOCK_DAYS + SLACK_DAYS)
    assert outcome.locked_until == until
    for path, known in offsite.known.items():
        stored = offsite.bucket.state(offsite.key(path), known.version)
        assert (stored.locked_until, stored.mode) == (until, LockMode.GOVERNANCE) == (known.locked_until, stored.mode)


def test_the_catalogue_comes_last_and_what_points_to_it_after_that(offsite):
    written = []
    offsite.copy(tell=written.extend)
    assert written[-2:] == [CATALOGUE, "index.latest"]


def test_the_next_night_copies_nothing_again_and_looks_at_what_is_there(copied):
    before = copied.versions()
    outcome = copied.copy(days=1)
    assert (outcome.uploaded, outcome.renewed) == (0, 0)
    assert outcome.kept == outcome.looked_at == len(before)
    assert copied.versions() == before
    assert outcome.manifest
    assert not outcome.findings


def test_locks_are_made_longer_once_in_the_days_of_the_slack_and_read_back(copied):
    before, days = copied.versions(), SLACK_DAYS + 1
    outcome = copied.copy(days=days)
    assert (outcome.renewed, outcome.uploaded) == (len(before), 0)
    assert copied.versions() == before
    until = lock_end(TODAY + timedelta(days=days), LOCK_DAYS + SLACK_DAYS)
    for path, known in copied.known.items():
        assert copied.bucket.state(copied.key(path), known.version).locked_until == until == known.locked_until


def test_a_killed_copy_goes_on_and_writes_nothing_twice(offsite):
    # Neither does what was written after the last group was put on record.
    calls = []

    def killed(done, _of):
        calls.append(done)
        if len(calls) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        offsite.copy(on_blob=killed)
    offsite.known.clear()
    outcome = offsite.copy()
    assert outcome.manifest
    assert all(len(versions) == 1 for versions in offsite.versions().values())
    assert set(offsite.versions()) == {e.path for e in offsite.manifest.entries}


def test_a_full_bucket_ends_the_copy_deletes_nothing_and_what_was_written_is_on_record(offsite):
    calls = []

    def full(request, **_event):
        if request.method != "PUT" or "/blobs/" not in request.url:
            return None
        calls.append(request.url)
        return (
            AWSResponse(request.url, 507, {}, Raw(b"<Error><Code>InsufficientStorage</Code></Error>"))
            if len(calls) > 5
            else None
        )

    events = offsite.bucket._bucket.client.meta.events
    events.register("before-send.s3", full)
    try:
        with pytest.raises(BucketFull) as raised:
            offsite.copy(threads=1)
    finally:
        events.unregister("before-send.s3", full)
    assert "none was" in raised.value.hint
    assert len(offsite.known) == 5
    assert {path: [each.version] for path, each in offsite.known.items()} == offsite.versions()
    assert offsite.copy().manifest
    assert all(len(versions) == 1 for versions in offsite.versions().values())


class Raw:
    def __init__(self, body) -> None:
        self.body = body

    def stream(self, *_args, **_more):
        yield self.body


def test_a_copy_that_is_gone_in_spite_of_its_lock_refutes_and_goes_up_anew(copied):
    path = data_path(copied)
    copied.delete(path)
    outcome = copied.copy()
    (found,) = facts(outcome)
    assert found.verdict is Verdict.REFUTED
    assert path in found.text
    assert "is gone, which was locked until" in found.text
    assert (outcome.uploaded, bodies(copied, outcome.manifest)[path]) == (1, copied.blobs[path])
    assert not copied.copy().findings


def test_a_copy_that_is_hidden_by_a_deletion_is_still_there_and_renewed(copied):
    # As the bucket's lifecycle does, too, with what is older than a lock.
    path = data_path(copied)
    copied.bucket._bucket.client.delete_object(Bucket=copied.bucket._bucket.name, Key=copied.key(path))
    outcome = copied.copy()
    assert not outcome.findings
    assert outcome.uploaded == 0
    again = copied.copy(days=SLACK_DAYS + 1)
    assert (again.findings, again.uploaded, again.renewed) == ([], 0, len(copied.manifest.entries))
    # Uploaded anew it is one more version, and no error.
    copied.known.pop(path)
    assert copied.copy(days=SLACK_DAYS + 1).uploaded == 1


@pytest.mark.parametrize("on_record", [True, False])
def test_a_lock_that_lapsed_refutes_and_its_blob_goes_up_anew(copied, on_record):
    days = 60
    if not on_record:
        # The record believes it to be locked: the store is asked.
        for path, known in copied.known.items():
            until = lock_end(TODAY + timedelta(days=days), LOCK_DAYS + 1)
            copied.known[path] = type(known)(known.bytes, known.sha256, known.version, until)
    outcome = copied.copy(days=days)
    assert len(outcome.findings) == outcome.uploaded == len(copied.manifest.entries)
    assert {found.verdict for found in outcome.findings} == {Verdict.REFUTED}
    assert "locked until" in outcome.findings[0].fact
    assert all(len(versions) == 2 for versions in copied.versions().values())
    assert not copied.copy(days=days).findings


def test_a_lock_that_lapsed_a_moment_ago_refutes_too(copied):
    path = data_path(copied)
    until = copied.known[path].locked_until
    days = (until.date() - TODAY).days
    just_after = dataclasses.replace(copied.bucket, now=lambda: until + timedelta(seconds=2))
    outcome = copied.copy(days=days, bucket=just_after)
    assert path in {found.subject.partition("[")[2].rstrip("]") for found in outcome.findings}
    assert outcome.uploaded == len(copied.manifest.entries)
    assert outcome.manifest


def test_a_lock_that_is_shorter_than_on_record_refutes_and_is_made_longer(copied):
    path, days = data_path(copied), SLACK_DAYS + 1
    known = copied.known[path]
    until = lock_end(TODAY + timedelta(days=days), LOCK_DAYS)
    copied.known[path] = type(known)(known.bytes, known.sha256, known.version, until)
    outcome = copied.copy(days=days)
    (found,) = facts(outcome)
    assert path in found.text
    assert f"on record until {until}" in found.text
    assert copied.bucket.state(copied.key(path), known.version).locked_until > until


def test_a_stricter_mode_is_no_finding_and_locks_anew(copied):
    outcome = copied.copy(mode=LockMode.COMPLIANCE)
    assert not outcome.findings
    assert outcome.uploaded == len(copied.manifest.entries)
    known = next(iter(copied.known.items()))
    assert copied.bucket.state(copied.key(known[0]), known[1].version).mode is LockMode.COMPLIANCE


def test_a_copy_that_was_found_damaged_goes_up_anew_whatever_the_store_tells_of_it(copied):
    path = data_path(copied)
    damaged = copied.known[path]
    copied.known[path] = damaged.distrusted()
    outcome = copied.copy()
    assert (outcome.uploaded, outcome.findings) == (1, [])
    assert copied.known[path].version != damaged.version


@pytest.mark.parametrize("at", ["index.latest", CATALOGUE, "meta-", "__"])
def test_a_repository_that_moves_meanwhile_is_pinned_anew(bucket, at):
    # Names begin alike; the first blob read whose path holds it sets it off.
    moving = Moving("")
    moving.at = next(path for path in moving if at in path)
    offsite = Offsite(bucket, sample())
    outcome = offsite.copy(blobs=moving)
    assert not outcome.findings
    assert outcome.manifest.generation == 2
    assert bodies(offsite, outcome.manifest) == {e.path: moving[e.path] for e in outcome.manifest.entries}
    assert "index-2" in {e.path for e in outcome.manifest.entries}
    # What was there already is not written twice.
    assert {path: len(each) for path, each in offsite.versions().items() if len(each) > 1} == {}


def test_a_repository_that_moves_all_the_time_is_asked_again_later(bucket):
    offsite = Offsite(bucket, sample())
    with pytest.raises(RepositoryUnsteady) as raised:
        offsite.copy(blobs=Moving("index.latest", times=99))
    assert isinstance(raised.value, Unavailable)


@pytest.mark.parametrize("damage", ["missing", "flipped"])
def test_a_blob_that_was_lost_since_it_was_checked_refutes_and_the_copy_is_not_complete(offsite, damage):
    path, broken = data_path(offsite), sample()
    if damage == "missing":
        del broken[path]
    else:
        broken[path] = flipped(broken[path], 0)
    outcome = offsite.copy(blobs=broken)
    (found,) = facts(outcome)
    assert found.verdict is Verdict.REFUTED
    assert path in found.text
    assert "since it was checked" in found.text
    assert outcome.manifest is None
    # Without a catalogue nobody takes it for a snapshot.
    assert CATALOGUE not in offsite.versions()
    assert not offsite.copy().findings


def test_a_finding_about_an_indexs_blob_begins_with_the_index(copied):
    path = data_path(copied)
    copied.delete(path)
    subject = copied.copy().findings[0].subject
    assert subject.split("[")[0].startswith("tenant-")
    assert subject.endswith(f"[{path}]")


def test_a_repository_that_does_not_answer_is_asked_again_later(offsite):
    class Away(Memory):
        def chunks(self, path):
            raise BlobsAway(f"{path} cannot be read now")

    with pytest.raises(BlobsAway):
        offsite.copy(blobs=Away(sample()))


def test_the_document_pins_what_it_is_and_is_found_by_the_bucket_alone(offsite):
    outcome = offsite.copy()
    indices = {
        name for name, each in outcome.catalogue.indices.items() if offsite.manifest.snapshot_uuid in each.snapshots
    }
    first = min(indices)
    document, stored = offsite.document(outcome, {first: "steward-content-v1:3:ab"}, {first: ["b", "a"]})
    assert offsite.document(outcome, {first: "steward-content-v1:3:ab"}, {first: ["b", "a"]})[1] == stored
    ((name, found),) = documents(offsite.bucket, offsite.cluster)
    assert (name.night, name.snapshot_uuid, found.version) == (TODAY, offsite.manifest.snapshot_uuid, stored.version)
    read = read_document(offsite.bucket, found.key, found.version)
    assert read.body() == document.body()
    assert set(read.blobs.entries) == set(document.blobs.entries)
    assert {index.name for index in read.indices} == indices
    assert (read.indices[0].documents, read.indices[0].aliases) == (3, ("a", "b"))
    assert all(index.digest is None for index in read.indices[1:])
    assert sum(index.bytes for index in read.indices) < sum(e.bytes for e in offsite.manifest.entries)


def test_a_repository_that_another_cluster_copied_is_refused(bucket):
    cluster, uuid, blob = f"tests-{secrets.token_hex(6)}", f"uuid-{secrets.token_hex(6)}", b"a blob"
    lock = Lock(LockMode.GOVERNANCE, datetime.now(UTC) + timedelta(minutes=10))
    bucket.check_owner("another", uuid)
    bucket.put(blob_key(root_of(cluster, uuid), "index.latest"), iter([blob]), content_of(blob), lock)
    bucket.check_owner(cluster, uuid)
    with pytest.raises(CopyOfAnother, match="is now 'another'") as raised:
        bucket.check_owner("another", uuid)
    assert raised.value.other == cluster
    assert raised.value.hint


def test_each_copy_has_its_turn_of_being_looked_at():
    kept = [*range(25)]
    looked = [tuple(tonights(kept, TODAY + timedelta(days=day), 10)) for day in range(5)]
    assert all(len(set(each)) == 10 for each in looked)
    assert set().union(*looked) == set(kept)
    assert tuple(tonights(kept, TODAY, 99)) == tuple(kept)
