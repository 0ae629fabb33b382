"""An off-site copy fetched from the bucket alone: its document first, then each blob by the version that it pins."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from steward.clients.offsite_bucket import OffsiteBucket
from steward.clients.offsite_copies import StoredVersion
from steward.clients.offsite_errors import ContentDiffers, ObjectUnreadable
from steward.clients.s3 import ObjectMissing
from steward.clients.staging import StagingPlace
from steward.repository.copying import Content, ManifestName, blob_key, root_of
from steward.repository.errors import ManifestUnreadable
from steward.repository.hashing import in_threads
from steward.repository.manifest import Entry
from steward.snapshots import offsite_document
from steward.snapshots.offsite_document import OffsiteDocument

#: Each holds a mebibyte, or, where it fetches into a bucket, two parts of 16.
THREADS = 6
#: An object that the store tells of and does not hand out is asked for again after these pauses. Then it is damaged.
PAUSES_SECONDS = (0.0, 1.0, 5.0)


@dataclass(frozen=True)
class Damaged:
    """A blob of the copy that is not what the document says. It is not in the place that it was fetched to."""

    path: str
    version: str
    index: str | None
    """The index that it is of; None: all are without it nothing."""
    fact: str

    def __str__(self) -> str:
        return f"the copy of {self.path}, version {self.version}: {self.fact}"


@dataclass(frozen=True)
class Fetched:
    """What fetching came to."""

    blobs: int
    bytes: int
    """That were fetched: what an earlier try had is not among them."""
    seconds: float
    damaged: tuple[Damaged, ...]


def documents(bucket: OffsiteBucket, cluster: str) -> list[tuple[ManifestName, StoredVersion]]:
    """The documents of all copies of *cluster*'s repositories, the newest night first; `written_at` decides within one."""
    found = list(bucket.manifests(cluster))
    return sorted(found, key=lambda each: (each[0].night, each[1].written_at), reverse=True)


def read_document(bucket: OffsiteBucket, key: str, version: str, sha256: str = "") -> OffsiteDocument:
    """That version of the document. ObjectMissing; ManifestUnreadable where it is none, damaged, or not of *sha256*."""
    body = _body(bucket, key, version)
    seen = hashlib.sha256(body).hexdigest()
    if sha256 not in {"", seen}:
        raise ManifestUnreadable(
            f"{key} of version {version} has SHA-256 {seen}, expected {sha256}",
            hint="it is not what the night put there: take another night's",
        )
    return offsite_document.read(body)


def _body(bucket: OffsiteBucket, key: str, version: str) -> bytes:
    fact = ""
    for pause in PAUSES_SECONDS:
        time.sleep(pause)
        try:
            return b"".join(bucket.chunks(key, version))
        except ObjectUnreadable as error:
            fact = error.message
    raise ManifestUnreadable(f"{fact}, {len(PAUSES_SECONDS)} times", hint="it is damaged there: take another night's")


def fetch(
    bucket: OffsiteBucket,
    document: OffsiteDocument,
    place: StagingPlace,
    indices: Collection[str] | None = None,
    *,
    on_blob: Callable[[int, int], None] = lambda _done, _of: None,
    threads: int = THREADS,
) -> Fetched:
    """Fetch what a restore of *indices* reads (None: of all) into *place*, its SHA-256 compared on the way.

    What an earlier try has left there whole stays. *on_blob* is called in this thread after each blob with the bytes that
    are done, and of how many; what it raises ends the fetching. Damage is in the answer, and all else is fetched. Raises
    what *bucket* and *place* do.
    """
    began, entries = time.monotonic(), document.entries(indices)
    root, of = root_of(document.cluster, document.blobs.repository), sum(entry.bytes for entry in entries)
    done, blobs, fetched, damaged = 0, 0, 0, list[Damaged]()

    def one(entry: Entry) -> tuple[Entry, str | None, bool]:
        content = Content(entry.bytes, entry.sha256)
        if place.holds(entry.path, content):
            return entry, None, False
        return entry, _fetch(bucket, blob_key(root, entry.path), entry, place), True

    for entry, fact, anew in in_threads(one, entries, threads):
        done += entry.bytes
        if fact:
            damaged.append(Damaged(entry.path, entry.version, document.index_of(entry.path), fact))
        elif anew:
            blobs, fetched = blobs + 1, fetched + entry.bytes
        on_blob(done, of)
    return Fetched(blobs, fetched, time.monotonic() - began, tuple(sorted(damaged, key=lambda each: each.path)))


def _fetch(bucket: OffsiteBucket, key: str, entry: Entry, place: StagingPlace) -> str | None:
    """What is wrong with it; None: it is there."""
    fact = ""
    for pause in PAUSES_SECONDS:
        time.sleep(pause)
        try:
            place.write(entry.path, bucket.chunks(key, entry.version), Content(entry.bytes, entry.sha256))
        except ContentDiffers as error:
            return error.message
        except ObjectMissing:
            return "it is gone"
        except ObjectUnreadable as error:
            fact = error.message
        else:
            return None
    return f"{fact}, {len(PAUSES_SECONDS)} times"
