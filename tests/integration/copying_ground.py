"""The sample repository copied into the replica's bucket, under a cluster's name of the test's own."""

import dataclasses
import hashlib
import secrets
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

from steward.clients.offsite_bucket import OffsiteBucket
from steward.clients.offsite_copying import copy_blobs, put_document
from steward.clients.offsite_terms import CopyTerms
from steward.repository.closure import closure_of
from steward.repository.copying import LockMode, blob_key, root_of
from steward.repository.manifest import Entry, Manifest
from steward.repository.repinning import newest_generation
from steward.snapshots.offsite_document import Source, describe
from tests.unit.repository.sample import Memory, sample, uuid_of

LOCK_DAYS = 2
TODAY = datetime.now(UTC).date()


def manifest(blobs, snapshot, uuid):
    """As the night's check makes it of blobs that are all right."""
    closure = closure_of(blobs, newest_generation(blobs), uuid)
    assert not closure.damage
    bodies = {needed.path: b"".join(blobs.chunks(needed.path)) for needed in closure.needed}
    return Manifest(
        repository=closure.catalogue.uuid,
        generation=closure.generation,
        snapshot=snapshot,
        snapshot_uuid=uuid,
        entries=tuple(Entry(path=p, bytes=len(b), sha256=hashlib.sha256(b).hexdigest()) for p, b in bodies.items()),
    )


class Offsite:
    """One cluster's copies, and what is on record of them."""

    def __init__(self, bucket: OffsiteBucket, blobs, snapshot="two", uuid=None) -> None:
        self.bucket, self.blobs, self.cluster = bucket, blobs, f"tests-{secrets.token_hex(6)}"
        self.manifest = manifest(blobs, snapshot, uuid or uuid_of(blobs, snapshot))
        self.known = {}
        self.root = root_of(self.cluster, self.manifest.repository)

    def terms(self, today: date = TODAY, mode=LockMode.GOVERNANCE):
        return CopyTerms(self.root, today, LOCK_DAYS, mode)

    def copy(self, *, days=0, mode=LockMode.GOVERNANCE, blobs=None, manifest=None, bucket=None, **more):
        """The copy of the night that is so many days from now."""
        bucket = bucket or dataclasses.replace(self.bucket, now=lambda: datetime.now(UTC) + timedelta(days=days))
        terms = self.terms(TODAY + timedelta(days=days), mode)
        return copy_blobs(
            self.blobs if blobs is None else blobs,
            bucket,
            manifest or self.manifest,
            self.known,
            terms,
            **{"tell": self.known.update, **more},
        )

    def document(self, outcome, digests=None, aliases=None, name=None):
        """The document of a copy, put where it belongs."""
        at = datetime(2026, 5, 1, 3, tzinfo=UTC)
        source = Source(self.cluster, name or "nightly", TODAY, at, "9.5.3", aliases or {}, digests or {})
        described = describe(source, outcome.catalogue, outcome.manifest)
        return described, put_document(self.bucket, described, self.terms())

    def key(self, path):
        return blob_key(self.root, path)

    def versions(self):
        """Key → its versions, oldest first."""
        found = {}
        for each in self.bucket.versions(f"{self.root}/blobs/"):
            found.setdefault(each.key.removeprefix(f"{self.root}/blobs/"), []).append(each.version)
        return found

    def delete(self, path):
        """As only whoever may bypass governance can."""
        bucket = self.bucket._bucket
        where = {"Bucket": bucket.name, "Key": self.key(path), "VersionId": self.known[path].version}
        bucket.client.delete_object(**where, BypassGovernanceRetention=True)


class Moving(Memory):
    """The sample while somebody else writes to it: before the read of *at* it has moved on by one generation."""

    def __init__(self, at, times=1) -> None:
        super().__init__(sample())
        self.at, self.times = at, times

    def chunks(self, path):
        if path.endswith(self.at) and self.times:
            self.times -= 1
            self.move()
        yield from super().chunks(path)

    def move(self):
        generation = newest_generation(self)
        self[f"index-{generation + 1}"] = self.pop(f"index-{generation}")
        self["index.latest"] = (generation + 1).to_bytes(8, "big")


def bodies(offsite, manifest):
    """What lies off site under each path, by the versions pinned."""
    return {e.path: b"".join(offsite.bucket.chunks(offsite.key(e.path), e.version)) for e in manifest.entries}


def facts(outcome):
    return [SimpleNamespace(verdict=each.verdict, text=f"{each.subject}: {each.fact}") for each in outcome.findings]
