"""A copy proved by itself: fetched from the bucket, restored by another cluster, compared; the primary repository is gone."""

from __future__ import annotations

import secrets
import shutil
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import msgspec
import pytest
from botocore.awsrequest import AWSResponse

from replica import inventory
from steward.clients.blobs_fs import FolderBlobs
from steward.clients.elasticsearch import open_search
from steward.clients.offsite_bucket import open_offsite_bucket
from steward.clients.offsite_fetching import fetch, read_document
from steward.clients.offsite_proving import Target, distrusted, prove_copy
from steward.clients.staging import open_staging
from steward.repository.copying import Lock, LockMode
from steward.repository.errors import ManifestUnreadable
from steward.settings import load
from steward.snapshots import capture
from steward.snapshots.offsite_restoring import content_digests, unregister
from steward.snapshots.restoring import drop_restored
from steward.verdicts import Verdict
from tests.integration.copying_ground import Offsite
from tests.integration.offsite_ground import content_of
from tests.integration.offsite_ground import offsite as with_offsite
from tests.integration.repository_ground import repository

DOCUMENTS = {"a": 12, "b": 7}


@pytest.fixture(scope="module")
def copied(replica):
    """A snapshot and its copy; then the repository that it is of is gone."""
    settings = load(inventory.settings_file(replica))
    evidence = with_offsite(settings, settings.objects.evidence_bucket)
    with (
        repository(replica) as ground,
        open_search(settings, "scratch", "restore") as there,
        open_offsite_bucket(evidence) as bucket,
    ):
        for letter, count in DOCUMENTS.items():
            ground.write(letter, *range(count))
        ground.ask("POST", f"/{ground.index('*')}/_refresh")
        digests = content_digests(there, "", [ground.index(letter) for letter in DOCUMENTS])
        uuid = ground.snapshot("one")
        offsite = Offsite(bucket, FolderBlobs(ground.folder), "one", uuid)
        document, stored = offsite.document(offsite.copy(), digests, name=ground.name)
        away = ground.folder.with_name(f"{ground.name}-away")
        shutil.move(ground.folder, away)
        yield SimpleNamespace(
            settings=settings,
            offsite=offsite,
            bucket=bucket,
            there=there,
            digests=digests,
            document=document,
            stored=stored,
            index=ground.index,
        )
        shutil.move(away, ground.folder)


@pytest.fixture
def proving(copied):
    """Prove the copy, or *document* of it, for once; what it makes is taken away afterwards."""
    name, prefix = f"offsite-test-{secrets.token_hex(4)}", f"proof-{secrets.token_hex(4)}-copy-"

    def prove(document=None, digests=None):
        target = Target(copied.there, name, prefix)
        return prove_copy(copied.bucket, document or copied.document, place, target, digests or copied.digests)

    with open_staging(copied.settings, name) as place:
        prove.place, prove.name, prove.prefix = place, name, prefix
        try:
            yield prove
        finally:
            drop_restored(copied.there, capture.restored_indices(copied.there, prefix))
            unregister(copied.there, name)
            place.clear()


def with_version(document, path, version):
    entries = [msgspec.structs.replace(e, version=version) if e.path == path else e for e in document.blobs.entries]
    return msgspec.structs.replace(document, blobs=msgspec.structs.replace(document.blobs, entries=tuple(entries)))


def another_version(copied, path, body):
    """Other bytes under a blob's key: what is pinned then is as one that the store has changed."""
    lock = Lock(LockMode.GOVERNANCE, datetime.now(UTC) + timedelta(minutes=10))
    return copied.bucket.put(copied.offsite.key(path), iter([body]), content_of(body), lock).version


def path_of(copied, letter, holds):
    folder = next(index.folder for index in copied.document.indices if index.name == copied.index(letter))
    return next(
        e.path for e in copied.document.blobs.entries if e.path.startswith(f"indices/{folder}/") and holds in e.path
    )


def test_the_copy_alone_restores_and_proves_what_was_in_it(copied, proving):
    document = read_document(copied.bucket, copied.stored.key, copied.stored.version)
    proof = proving(document)
    assert not proof.findings
    assert proof.compared == {copied.index(letter): count for letter, count in DOCUMENTS.items()}
    assert (proof.fetched.blobs, proof.fetched.bytes) == (
        len(document.blobs.entries),
        sum(e.bytes for e in document.blobs.entries),
    )
    assert proof.rto_seconds > proof.restore_seconds > 0
    registered = copied.there.request("GET", f"/_snapshot/{proving.name}")[proving.name]
    assert registered == proving.place.repository() | {"uuid": document.blobs.repository}


def test_one_index_is_proved_by_its_own_blobs(copied, proving):
    index = copied.index("b")
    proof = proving(digests={index: copied.digests[index]})
    assert not proof.findings
    assert list(proof.compared) == [index]
    assert proof.fetched.blobs < len(copied.document.blobs.entries)
    described = next(each for each in copied.document.indices if each.name == index)
    roots = sum(e.bytes for e in copied.document.blobs.entries if not e.path.startswith("indices/"))
    assert proof.fetched.bytes == described.bytes + roots


def test_what_it_holds_otherwise_than_that_night_refutes(copied, proving):
    index = copied.index("a")
    wrong = f"{copied.digests[index][:-1]}{'0' if copied.digests[index][-1] != '0' else '1'}"
    proof = proving(digests=copied.digests | {index: wrong})
    (found,) = proof.findings
    assert (found.verdict, found.subject) == (Verdict.REFUTED, index)
    assert f"is {copied.digests[index]}, expected {wrong}" in found.fact
    assert list(proof.compared) == [copied.index("b")]


@pytest.mark.parametrize(
    ("holds", "others"), [("/__", True), ("/0/snap-", True), ("meta-", True), ("/0/index-", True), ("index-", False)]
)
def test_a_damaged_copy_is_named_and_leaves_its_index_out(copied, proving, holds, others):
    path = path_of(copied, "a", holds) if others else f"index-{copied.document.blobs.generation}"
    version = another_version(copied, path, b"other bytes")
    proof = proving(with_version(copied.document, path, version))
    (found,) = proof.findings
    assert found.verdict is Verdict.REFUTED
    assert found.subject == (f"{copied.index('a')}[{path}]" if others else path)
    assert version in found.fact
    assert list(proof.compared) == ([copied.index("b")] if others else [])
    assert not proving.place.holds(path, content_of(b"other bytes"))


def test_a_damaged_copy_is_uploaded_anew_the_next_night(copied):
    path = path_of(copied, "a", "/__")
    version = copied.offsite.known[path].version
    damaged = SimpleNamespace(path=path, version=version)
    (entry,) = distrusted(copied.offsite.known, [damaged, SimpleNamespace(path="of/old", version="1")]).items()
    assert entry[0] == path
    assert (entry[1].version, entry[1].sha256) == (version, "0" * 64)
    # Another version is there by now.
    assert not distrusted(copied.offsite.known, [SimpleNamespace(path=path, version="older")])


def test_a_version_that_is_gone_is_named(copied, proving):
    path = path_of(copied, "b", "/__")
    proof = proving(with_version(copied.document, path, "0" * 32))
    (found,) = proof.findings
    assert (found.verdict, found.subject) == (Verdict.REFUTED, f"{copied.index('b')}[{path}]")
    assert "it is gone" in found.fact


def test_what_an_earlier_try_fetched_is_not_fetched_again(copied, proving):
    first = fetch(copied.bucket, copied.document, proving.place)
    again = fetch(copied.bucket, copied.document, proving.place)
    assert (first.blobs, again.blobs, again.bytes) == (len(copied.document.blobs.entries), 0, 0)
    path = path_of(copied, "a", "/__")
    (proving.place.folder / path).write_bytes(b"cut off")
    assert fetch(copied.bucket, copied.document, proving.place).blobs == 1


def test_fetching_tells_how_far_it_is_and_ends_when_it_is_told(copied, proving):
    told = []
    fetch(copied.bucket, copied.document, proving.place, on_blob=lambda done, of: told.append((done, of)))
    whole = sum(e.bytes for e in copied.document.blobs.entries)
    assert told[-1] == (whole, whole)
    assert len(told) == len(copied.document.blobs.entries)
    proving.place.clear()

    def ended(_done, _of):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(copied.bucket, copied.document, proving.place, on_blob=ended, threads=1)
    assert len([path for path in proving.place.folder.rglob("*") if path.is_file()]) < len(
        copied.document.blobs.entries
    )


@contextmanager
def failing(bucket, path, monkeypatch):
    """As SeaweedFS does with bytes that rot on its own disk: it answers 500, after 13 s each time."""
    monkeypatch.setattr("steward.clients.offsite_fetching.PAUSES_SECONDS", (0.0, 0.0))
    asked = []

    def fail(request, **_event):
        if request.method == "GET" and request.url.partition("?")[0].endswith(path):
            asked.append(request.url)
            return AWSResponse(request.url, 500, {}, Raw(b"<Error><Code>InternalError</Code></Error>"))
        return None

    events = bucket._bucket.client.meta.events
    events.register("before-send.s3", fail)
    try:
        yield asked
    finally:
        events.unregister("before-send.s3", fail)


def test_what_the_store_fails_to_hand_out_again_and_again_is_damaged_there(copied, proving, monkeypatch):
    path = path_of(copied, "a", "/__")
    with failing(copied.bucket, path, monkeypatch) as asked:
        proof = proving()
    (found,) = proof.findings
    assert (found.verdict, found.subject) == (Verdict.REFUTED, f"{copied.index('a')}[{path}]")
    assert "fails to read" in found.fact
    assert len(asked) >= 2
    assert list(proof.compared) == [copied.index("b")]


def test_a_document_that_the_store_fails_to_hand_out_again_and_again_is_unreadable(copied, monkeypatch):
    key = copied.stored.key
    with (
        failing(copied.bucket, key, monkeypatch),
        pytest.raises(ManifestUnreadable, match=r"fails to read .*, 2 times"),
    ):
        read_document(copied.bucket, key, copied.stored.version)


class Raw:
    def __init__(self, body) -> None:
        self.body = body

    def stream(self, *_args, **_more):
        yield self.body


def test_a_copy_made_while_elasticsearch_goes_on_is_one_snapshot_and_proves_itself(copied, proving, replica):
    with repository(replica) as ground:
        ground.write("a", *range(5))
        ground.write("b", *range(5))
        ground.ask("POST", f"/{ground.index('*')}/_refresh")
        digests = content_digests(copied.there, "", [ground.index("a"), ground.index("b")])
        offsite = Offsite(copied.bucket, FolderBlobs(ground.folder), "one", ground.snapshot("one"))
        later = []

        def snapshot_meanwhile(_done, _of):
            if not later:
                ground.write("a", *range(5, 9))
                later.append(ground.snapshot("two"))

        outcome = offsite.copy(on_blob=snapshot_meanwhile, threads=1)
        assert not outcome.findings
        assert outcome.manifest.generation == offsite.manifest.generation + 1 == ground.generation()
        document, _ = offsite.document(outcome, digests, name=ground.name)
        # What it was checked by is not there any more.
        assert not (ground.folder / f"index-{offsite.manifest.generation}").exists()
    proof = proving(document, digests)
    assert not proof.findings
    assert proof.compared == dict.fromkeys(digests, 5)
