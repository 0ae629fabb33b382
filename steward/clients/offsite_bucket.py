"""The off-site bucket: copies of blobs that cannot be deleted before their time, each pinned by its version.

One client serves all threads of its opener; an upload holds two parts in memory at most, so a caller with n threads
holds 2 n. Nothing here deletes anything but parts of an upload that was given up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from steward.clients import offsite_uploads as uploads
from steward.clients.before_writing import BeforeWrite, in_context_of_opening
from steward.clients.offsite_copies import StoredCopy, StoredVersion, stored_copy
from steward.clients.offsite_errors import (
    BucketNotVersioned,
    CopyOfAnother,
    LockCannotBeRenewed,
    OffsitePlaceUnnamed,
    WrittenOtherwise,
    in_words,
)
from steward.clients.s3 import (
    LockedBucket,
    ObjectMissing,
    ObjectNotLocked,
    ObjectStoreUnavailable,
    _ask,
    _client,
    _code,
)
from steward.repository.copying import Content, Lock, LockMode, ManifestName, lock_end, manifest_name
from steward.settings import Settings

CHUNK_BYTES = 1 << 20
#: As many threads upload at a time without opening a connection, and greeting over TLS, for each blob.
MOST_CONNECTIONS = 32
TABLE = "snapshots.offsite"
#: Written once a day by `check`: tells what the store does with a lock before hours are spent on a copy.
CHECK_KEY = "steward-lock-check"


@dataclass(frozen=True)
class OffsiteBucket:
    """One bucket. Threads may share it; *now* is what locks are held against.

    All raise ObjectStoreUnavailable (transient; BucketUnwritable where it answers and takes nothing), BucketFull, and
    ObjectStoreRefused, whose hints name `[snapshots.offsite]`.
    """

    _bucket: LockedBucket
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def check(self, mode: LockMode, days: int) -> None:
        """That the bucket is there, versioned, and locks what is put there for *days* in *mode*: tried, and read back.

        Raises BucketMissing, BucketNotVersioned, BucketWithoutLock, ObjectNotLocked. What it puts is a date of ten
        bytes, once a day: full buckets, keys without the right to lock and stores that ignore it are told by nothing
        that only reads.
        """
        with self._words("read the configuration"):
            versioning = self._client.get_bucket_versioning(Bucket=self._bucket.name).get("Status")
        self._bucket.check()
        if versioning != "Enabled":
            raise BucketNotVersioned(self._bucket.name, self._bucket.target, versioning)
        today = self.now().date()
        body = today.isoformat().encode()
        content = Content(len(body), hashlib.sha256(body).hexdigest())
        self.put(CHECK_KEY, iter([body]), content, Lock(mode, lock_end(today, days)))

    def put(
        self, key: str, chunks: Iterator[bytes], content: Content, lock: Lock, *, instead_of: str = ""
    ) -> StoredCopy:
        """Write what *chunks* yield under *key*, locked, and return the version as it is read back.

        May be tried again at any time: where the newest version is *content* and locked still, a killed try wrote it;
        its version is returned, its lock renewed if need be, and *chunks* are not read. Not so the version *instead_of*,
        which is damaged, whatever the store tells of it. Nothing is completed under *key* unless *chunks* were *content*: ContentDiffers. Raises ObjectNotLocked where the store took the object
        but not the lock, and WrittenOtherwise where what it then tells of is not what was sent.
        """
        newest = self._newest(key)
        if newest and newest.version != instead_of and (left := self._left_over(newest, content, lock)):
            return left
        with self._words(f"put {key}", writing=True):
            version = uploads.upload(
                self._client, self._bucket.name, uploads.Upload(key, content, lock, is_first=newest is None), chunks
            )
        if version is None:
            return self._written_meanwhile(key, content, lock)
        stored = self.state(key, version)
        if not stored.holds(content):
            raise WrittenOtherwise(key, (stored.bytes, stored.sha256), content)
        return self._locked(stored, lock)

    def renew(self, key: str, version: str, lock: Lock) -> StoredCopy:
        """Lock that version, and return it as it is read back. A lock that is as strong and as long is left alone.

        Raises ObjectMissing where it is gone, and LockCannotBeRenewed, by `why`, where it was locked no longer or in a
        weaker mode: it may have been exchanged, and is to be uploaded anew.
        """
        found = self.state(key, version)
        if found.is_locked(lock):
            return found
        if not found.mode or not found.locked_until or found.locked_until <= self.now():
            raise LockCannotBeRenewed(key, version, "lapsed", found.locked_until)
        if not found.mode.holds(lock.mode):
            raise LockCannotBeRenewed(key, version, "weaker", found.locked_until)
        with self._words(f"renew the lock of {key}", writing=True):
            self._client.put_object_retention(
                Bucket=self._bucket.name,
                Key=key,
                VersionId=version,
                # Its own mode: one of nobody's cannot be made weaker, and asking for it would be refused.
                Retention={"Mode": found.mode.upper(), "RetainUntilDate": lock.until},
            )
        return self._locked(self.state(key, version), lock)

    def state(self, key: str, version: str | None = None) -> StoredCopy:
        """What the store tells of that version, or of the newest. ObjectMissing: it is gone, or a deletion marker."""
        pinned = {"VersionId": version} if version else {}
        with self._words(f"look at {key}"):
            try:
                head = self._client.head_object(Bucket=self._bucket.name, Key=key, ChecksumMode="ENABLED", **pinned)
            except ClientError as error:
                # An answer to HEAD has no body, so no code but the status; 405 and 400: a marker, an impossible id.
                if _code(error) in {"404", "405", "400"}:
                    raise _missing(key, version, self._bucket.name) from None
                raise
        return stored_copy(key, head)

    def chunks(self, key: str, version: str) -> Iterator[bytes]:
        """That version's bytes in pieces of at most CHUNK_BYTES, whatever was put over it since. Compare their SHA-256.

        ObjectMissing, and ObjectUnreadable (transient) where the store tells of it and cannot hand it out: a store
        that keeps checksums of its own says so of damage.
        """
        with self._words(f"read {key}", reading=key):
            found = self._client.get_object(Bucket=self._bucket.name, Key=key, VersionId=version)
            with closing(found["Body"]) as body:
                yield from body.iter_chunks(CHUNK_BYTES)

    def versions(self, prefix: str) -> list[StoredVersion]:
        """Every version of every object whose key begins with *prefix*: of each key the oldest first.

        The oldest is what was written first, whatever somebody put over it since or hid behind a deletion marker.
        """
        found = list(self.each_version(prefix))
        # The store lists the newest of a key first, and times are whole seconds: its own order, turned round.
        found.reverse()
        return sorted(found, key=lambda each: (each.key, each.written_at))

    def each_version(self, prefix: str) -> Iterator[StoredVersion]:
        """The same in the store's own order, a page of it in memory at a time."""
        with self._words(f"list {prefix}"):
            pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self._bucket.name, Prefix=prefix)
            for page in pages:
                for each in page.get("Versions", []):
                    yield StoredVersion(each["Key"], each["VersionId"], each["Size"], each["LastModified"])

    def manifests(self, cluster: str) -> Iterator[tuple[ManifestName, StoredVersion]]:
        """Every version of the manifests of each repository that *cluster* had, oldest night first.

        Found by the bucket alone: with the cluster, its repository and Steward's database gone, this is all there is.
        """
        for root in self._roots(cluster):
            for each in self.versions(f"{root}/manifests/"):
                if name := manifest_name(each.key):
                    yield name, each

    def check_owner(self, cluster: str, repository_uuid: str) -> None:
        """CopyOfAnother: a repository of this UUID was copied here under another cluster's name."""
        for prefix in self._folders(""):
            if prefix != cluster and f"{prefix}/{repository_uuid}" in self._roots(prefix):
                raise CopyOfAnother(cluster, repository_uuid, prefix)

    def _roots(self, cluster: str) -> list[str]:
        return self._folders(f"{cluster}/")

    def _folders(self, prefix: str) -> list[str]:
        # Of versions and not of objects, since these can be hidden by whoever may delete.
        with self._words(f"list {prefix}"):
            pages = self._client.get_paginator("list_object_versions").paginate(
                Bucket=self._bucket.name, Prefix=prefix, Delimiter="/"
            )
            return sorted(each["Prefix"].rstrip("/") for page in pages for each in page.get("CommonPrefixes", []))

    def _newest(self, key: str) -> StoredCopy | None:
        try:
            return self.state(key)
        except ObjectMissing:
            return None

    def _left_over(self, found: StoredCopy, content: Content, lock: Lock) -> StoredCopy | None:
        """What a killed try wrote, locked as asked. Without a lock in force it could have been exchanged since: None."""
        if not (found.holds(content) and found.is_locked(Lock(lock.mode, self.now()))):
            return None
        with suppress(LockCannotBeRenewed):
            return self.renew(found.key, found.version, lock)
        # Its lock lapsed just now.
        return None

    def _written_meanwhile(self, key: str, content: Content, lock: Lock) -> StoredCopy:
        """By a try whose answer was lost, most of all by one of the client's own."""
        newest = self._newest(key)
        if newest and (left := self._left_over(newest, content, lock)):
            return left
        raise ObjectStoreUnavailable(
            f"bucket {self._bucket.name}: another wrote {key} at the same moment",
            hint="it passes by itself; if it comes again, see who else writes there",
        )

    def _locked(self, stored: StoredCopy, lock: Lock) -> StoredCopy:
        if not stored.is_locked(lock):
            raise ObjectNotLocked(
                f"{stored.key} in bucket {self._bucket.name} is locked until {stored.locked_until or 'never'} "
                f"({stored.mode or 'no mode'}), asked for {lock.until} ({lock.mode})",
                hint="the store ignores Object Lock's headers, or a policy of the bucket shortens them",
            )
        return stored

    @property
    def _client(self) -> Any:
        return self._bucket.client

    @contextmanager
    def _words(self, action: str, *, writing: bool = False, reading: str | None = None) -> Generator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            # Not chained: botocore's error keeps the server's answer, which may name the access key.
            raise in_words(error, action, self._bucket, writing=writing, reading=reading) from None


def _missing(key: str, version: str | None, bucket: str) -> ObjectMissing:
    return ObjectMissing(
        f"bucket {bucket} has no {key}" + (f" of version {version}" if version else ""),
        hint="was it deleted? list the object's versions; what is gone in spite of its lock, the store has lost",
    )


@contextmanager
def open_offsite_bucket(settings: Settings, before_write: BeforeWrite | None = None) -> Generator[OffsiteBucket]:
    """The bucket that `[snapshots.offsite]` names; `check` it before anything is copied there.

    *before_write* as for `open_evidence_bucket`. Raises OffsitePlaceUnnamed and BadInput; asks the store nothing yet.
    """
    place = settings.snapshots.offsite if settings.snapshots else None
    if place is None:
        raise OffsitePlaceUnnamed
    store = place.store(settings.objects)
    client = _client(
        store,
        settings.vault,
        TABLE,
        max_pool_connections=MOST_CONNECTIONS,
        # Whether what is read is right is told by the manifest's SHA-256, as a finding.
        response_checksum_validation="when_required",
    )
    if before_write:
        _ask(client, in_context_of_opening(before_write))
    with closing(client):
        yield OffsiteBucket(LockedBucket(place.bucket, store.endpoint or f"AWS {store.region}", client, TABLE))
