"""A case's copy off site: made as the night makes it, looked at as the next night does, and proved from itself alone."""

import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from steward.clients import offsite_fetching
from steward.clients.blobs_fs import FolderBlobs
from steward.clients.offsite_bucket import open_offsite_bucket
from steward.clients.offsite_copying import CopyTerms, copy_blobs, put_document
from steward.clients.offsite_fetching import read_document
from steward.clients.offsite_proving import Target, prove_copy
from steward.clients.s3 import ObjectMissing
from steward.clients.staging import FolderPlace
from steward.repository.copying import Copied, LockMode, blob_key, manifest_key, root_of
from steward.repository.errors import ManifestUnreadable
from steward.snapshots.findings import refuted
from steward.snapshots.offsite_document import Source, describe
from steward.snapshots.offsite_restoring import unregister
from tests.drills.faults import blobs
from tests.integration.offsite_ground import offsite

LOCK_DAYS = 1
_NEXT = timedelta(days=1)


@dataclass
class Copy:
    """What the night has brought off site, and has on record of it."""

    case: object
    bucket: object
    """As a night reaches it."""
    client: object
    """As its owner does, who may lift a lock of governance."""
    terms: CopyTerms
    manifest: object
    known: dict[str, Copied] = field(default_factory=dict)
    document: object = None
    """The version of the document that the night has on record."""
    bucket_to_check: str = ""
    cluster_to_check: str = ""
    """What the settings name, where that is the fault."""

    @property
    def name(self) -> str:
        return self.bucket._bucket.name

    def key(self, path: str) -> str:
        return blob_key(self.terms.root, path)

    @property
    def document_key(self) -> str:
        return manifest_key(self.terms.root, blobs.NIGHT, self.manifest.snapshot_uuid)

    def delete(self, key: str, version: str) -> None:
        """That version, whatever its lock: as whoever is allowed to bypass governance."""
        self.client.delete_object(Bucket=self.name, Key=key, VersionId=version, BypassGovernanceRetention=True)

    def put(self, key: str, body: bytes) -> None:
        """Over what is there: a newer version."""
        self.client.put_object(Bucket=self.name, Key=key, Body=body)

    def lock_until(self, path: str, until: datetime) -> None:
        self.client.put_object_retention(
            Bucket=self.name,
            Key=self.key(path),
            VersionId=self.known[path].version,
            Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until},
            BypassGovernanceRetention=True,
        )


def copied(case, bucket) -> Copy:
    """Tonight's copy, whole and right."""
    ground, checked = case.ground, blobs.check(case)
    assert checked.verdict == "VERIFIED", checked.findings
    manifest = case.book.tonights
    root = root_of(case.repository, manifest.repository)
    terms = CopyTerms(root, datetime.now(UTC).date(), LOCK_DAYS, LockMode.GOVERNANCE)
    copy = Copy(case, bucket, bucket._bucket.client, terms, manifest)
    outcome = copy_blobs(FolderBlobs(case.folder), bucket, manifest, {}, terms, tell=copy.known.update)
    assert outcome.manifest, outcome
    taken = datetime.fromtimestamp(case.night.taken.started_at, UTC)
    source = Source(case.repository, ground.name, blobs.NIGHT, taken, "9.5.3", {}, ground.digests)
    copy.document = put_document(bucket, describe(source, outcome.catalogue, outcome.manifest), terms).version
    return copy


def look(copy: Copy):
    """What the next night's copy finds of tonight's, for it holds all of the blobs again."""
    terms = CopyTerms(copy.terms.root, copy.terms.today + _NEXT, LOCK_DAYS, copy.terms.mode)
    outcome = copy_blobs(FolderBlobs(copy.case.folder), copy.bucket, copy.manifest, dict(copy.known), terms)
    return outcome.findings


def prove(copy: Copy):
    """What restoring from the copy alone finds, by the document that the night has on record."""
    try:
        document = read_document(copy.bucket, copy.document_key, copy.document)
    except (ObjectMissing, ManifestUnreadable) as error:
        return [refuted(copy.document_key, error.message)]
    return proved(copy.case, copy.bucket, document, copy.case.ground.digests)


def proved(case, bucket, document, digests):
    """What restoring from the copy that *document* pins finds; nothing of it is left."""
    ground = case.ground
    name, prefix = f"{case.repository}-copy", f"proof-copy-{ground.name}-{case.number}-"
    place = FolderPlace(ground.folder, f"staging-{case.number}", ground.folder)
    try:
        # The store itself tries for long before it says that it cannot read an object; once is enough here.
        with patch.object(offsite_fetching, "PAUSES_SECONDS", (0.0,)):
            return prove_copy(bucket, document, place, Target(ground.scratch, name, prefix), digests).findings
    finally:
        for index in digests:
            case.hand.ask("DELETE", f"/{prefix}{index}?ignore_unavailable=true")
        unregister(ground.scratch, name)
        place.clear()


def downloaded(copy: Copy, folder: Path) -> str | None:
    """What anybody has who fetches the newest objects into *folder*; why not, where it fails."""
    prefix = copy.key("")
    # What the nights before have brought there lies beside it.
    for path in copy.case.ground.book.blobs.keys() - copy.known.keys():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(copy.case.folder / path, folder / path)
    pages = copy.client.get_paginator("list_objects_v2").paginate(Bucket=copy.name, Prefix=prefix)
    for each in (each for page in pages for each in page.get("Contents", [])):
        at = folder / each["Key"].removeprefix(prefix)
        at.parent.mkdir(parents=True, exist_ok=True)
        try:
            at.write_bytes(copy.client.get_object(Bucket=copy.name, Key=each["Key"])["Body"].read())
        except Exception as error:  # noqa: BLE001  whatever the client raises is how it says that something is wrong
            return f"{type(error).__name__}: {error}"[:300]
    return None


def check_place(copy: Copy) -> None:
    """As it is looked at before anything is touched: raises what is wrong with it."""
    if not (copy.bucket_to_check or copy.cluster_to_check):
        return
    settings = copy.case.ground.settings
    with open_offsite_bucket(offsite(settings, copy.bucket_to_check or copy.name)) as bucket:
        bucket.check(copy.terms.mode, LOCK_DAYS)
        bucket.check_owner(copy.cluster_to_check or copy.case.repository, copy.manifest.repository)
