"""Why a copy could not be written off site, or not be read there."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from steward.clients.s3 import LockedBucket, ObjectStoreUnavailable, _code, _in_words
from steward.errors import BadInput, StewardError
from steward.repository.copying import Content

#: MinIO's disk and quota, Ceph's quota, and HTTP's own word.
_FULL = {"XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded", "InsufficientStorage", "507"}
_FULL_STATUS = 507
#: With these a store asks for patience, and says nothing about the object.
_PATIENCE = {"SlowDown", "ServiceUnavailable", "RequestTimeout", "Throttling", "503"}
_SERVER_ERROR = 500


class OffsitePlaceUnnamed(BadInput):
    """The settings name no bucket for copies."""

    def __init__(self) -> None:
        super().__init__(
            "the settings name no bucket for off-site copies",
            hint="add [snapshots.offsite] with a bucket that has Object Lock; docs/settings.md",
        )


class BucketNotVersioned(BadInput):
    """What is put over a copy replaces it."""

    def __init__(self, bucket: str, target: str, status: str | None) -> None:
        super().__init__(
            f"bucket {bucket} at {target} keeps no versions: versioning is {status or 'off'}, expected Enabled",
            hint="make a bucket with Object Lock, which comes with versions, and let snapshots.offsite.bucket name it",
        )


class CopyOfAnother(BadInput):
    """The repository's copy is another cluster's: two clusters write it, or one of them has a copy of it."""

    def __init__(self, cluster: str, repository_uuid: str, other: str) -> None:
        super().__init__(
            f"the repository of UUID {repository_uuid} was copied off site as cluster {other!r}'s, and is now {cluster!r}'s",
            hint="two clusters that write one repository destroy it: which of them does? a cluster that was renamed, or "
            "replaced, goes on under its old name",
        )
        self.other = other


class BucketFull(StewardError):
    """The store takes no more: its disk, or the bucket's quota. Nothing was deleted to make room."""


class BucketUnwritable(ObjectStoreUnavailable):
    """The bucket can be read, and takes nothing. Some stores say no more when they are full."""


class ObjectUnreadable(ObjectStoreUnavailable):
    """The store tells of this object, and fails to hand it out. If it does so again and again, it is damaged there."""


class ContentDiffers(StewardError):
    """What was read to be copied is not what the manifest says. Nothing was completed under the key."""

    def __init__(self, key: str, seen: Content, expected: Content) -> None:
        super().__init__(
            f"{key}: read {seen.bytes:,} bytes of SHA-256 {seen.sha256}, "
            f"expected {expected.bytes:,} of {expected.sha256}",
            hint="the blob was damaged or replaced after it was checked: check the repository again",
        )
        self.key = key


class WrittenOtherwise(StewardError):
    """The store took an object, and tells of another: of other length, or without the checksum it was sent."""

    def __init__(self, key: str, seen: tuple[int, str | None], expected: Content) -> None:
        super().__init__(
            f"{key} was stored with {seen[0]:,} bytes and SHA-256 {seen[1] or 'none'}, "
            f"expected {expected.bytes:,} and {expected.sha256}",
            hint="does the store keep x-amz-checksum-sha256? a copy that it cannot tell of cannot be pinned",
        )
        self.key = key


class LockCannotBeRenewed(StewardError):
    """A version whose lock is not to be trusted with a renewal. It is left as it is; upload its blob anew."""

    def __init__(self, key: str, version: str, why: Literal["lapsed", "weaker"], until: datetime | None) -> None:
        fact = f"was locked until {until or 'never'}" if why == "lapsed" else "is locked in governance mode"
        expected = "a lock in force" if why == "lapsed" else "compliance, which a lock cannot be changed to"
        super().__init__(f"{key} of version {version} {fact}, expected {expected}", hint="upload the blob anew")
        self.key, self.version, self.why = key, version, why


def in_words(
    error: ClientError | BotoCoreError, action: str, bucket: LockedBucket, *, writing: bool, reading: str | None
) -> StewardError:
    """What *error* says of *action*. A store that fails to write, or to read one object, is asked whether it answers."""
    told = None
    if isinstance(error, ClientError) and writing:
        told = _not_written(error, action, bucket)
    elif isinstance(error, ClientError) and reading:
        told = _not_read(error, action, bucket, reading)
    return told or _in_words(error, action, bucket)


def _not_written(error: ClientError, action: str, bucket: LockedBucket) -> StewardError | None:
    code, where = _code(error), f"bucket {bucket.name} at {bucket.target}"
    if code in _FULL or _status(error) == _FULL_STATUS:
        return BucketFull(
            f"{where} is full: it refuses to {action}: {code}",
            hint="raise its quota or add disks; locked copies cannot be deleted to make room, and none was",
        )
    if code == "NoSuchUpload":
        return ObjectStoreUnavailable(
            f"{where} no longer knows the upload: {action}",
            hint="its last answer was lost, or a lifecycle rule ended it; the next try finds out",
        )
    if _fails(error) and _can_be_read(bucket):
        return BucketUnwritable(
            f"{where} can be read, and does not {action}: {code}",
            hint="is it full, or over its quota? SeaweedFS says nothing else of either; see the store's log",
        )
    return None


def _not_read(error: ClientError, action: str, bucket: LockedBucket, key: str) -> StewardError | None:
    if not (_fails(error) and _tells_of(bucket, key)):
        return None
    return ObjectUnreadable(
        f"bucket {bucket.name} at {bucket.target} tells of {key} and fails to {action}: {_code(error)}",
        hint="if it fails again, the object is damaged there: compare it with its original, see the store's log",
    )


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _fails(error: ClientError) -> bool:
    """The store could not do it, and does not ask for patience."""
    return _status(error) >= _SERVER_ERROR and _code(error) not in _PATIENCE


def _can_be_read(bucket: LockedBucket) -> bool:
    with suppress(ClientError, BotoCoreError):
        bucket.client.list_objects_v2(Bucket=bucket.name, MaxKeys=1)
        return True
    return False


def _tells_of(bucket: LockedBucket, key: str) -> bool:
    with suppress(ClientError, BotoCoreError):
        return bool(bucket.client.list_object_versions(Bucket=bucket.name, Prefix=key, MaxKeys=1).get("Versions"))
    return False
