"""What of a snapshot's closure is to be copied off site, whose lock is to be renewed, and until when each is locked.

A blob is locked for `lock_days` and a slack more, and its lock renewed once less than `lock_days` of it are left: so no
blob of tonight's snapshot is ever locked for less than that, and each is renewed once in the slack's days, not nightly.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from steward.errors import BadInput
from steward.repository.manifest import Entry

#: Days of lock that a blob gets beyond the policy's: it is renewed once in as many nights.
SLACK_DAYS = 7

_OF_NOTHING = "0" * 64
_MANIFEST = re.compile(r"(?P<root>.+)/manifests/(?P<night>\d{4}-\d\d-\d\d)-(?P<snapshot>[A-Za-z0-9_-]+)\.jsonl\.gz")
_PART = re.compile(r"[A-Za-z0-9_.-]+")


class LockMode(StrEnum):
    """Of Object Lock: who can lift it."""

    COMPLIANCE = "compliance"
    """Nobody."""
    GOVERNANCE = "governance"
    """Users with s3:BypassGovernanceRetention."""

    def holds(self, asked: LockMode) -> bool:
        """Whether a lock of this mode is at least as strong as *asked*."""
        return self is LockMode.COMPLIANCE or asked is LockMode.GOVERNANCE


@dataclass(frozen=True)
class Lock:
    """What is asked of a version's retention."""

    mode: LockMode
    until: datetime


@dataclass(frozen=True)
class Content:
    """What a blob's bytes are: how many, and their SHA-256 in hexadecimal."""

    bytes: int
    sha256: str


class LockTooShort(BadInput):
    """A copy could be deleted while the snapshot that it is of is still kept."""


@dataclass(frozen=True)
class Copied:
    """What is known of a blob's copy."""

    bytes: int
    sha256: str
    version: str
    locked_until: datetime

    def distrusted(self) -> Copied:
        """As one of no bytes that are: found damaged where it lies, it is uploaded anew, whatever the store tells of it."""
        return replace(self, bytes=0, sha256=_OF_NOTHING)


@dataclass(frozen=True)
class CopyPlan:
    """What tonight's copy consists of. Every entry of the manifest is in exactly one of the three."""

    locked_until: datetime
    """Of what is uploaded and what is renewed."""
    upload: tuple[Entry, ...]
    """The order is that of the manifest, but for the catalogue, which comes last: it makes the others a snapshot."""
    renew: tuple[Entry, ...]
    """With the version whose lock is to be renewed."""
    keep: tuple[Entry, ...]
    """With the version that is locked for long enough."""

    @property
    def upload_bytes(self) -> int:
        return sum(entry.bytes for entry in self.upload)


def plan_copy(entries: Iterable[Entry], known: Mapping[str, Copied], today: date, lock_days: int) -> CopyPlan:
    """What to do with each of *entries*, given the copies *known* by path.

    A copy of other bytes than tonight's is not taken: what was written anew under its name is uploaded anew. *today* is
    the day of the copy and not the night's: a night that is made good late is locked for no less.
    """
    at_least, until = lock_end(today, lock_days), lock_end(today, lock_days + SLACK_DAYS)
    upload, renew, keep = list[Entry](), list[Entry](), list[Entry]()
    for entry in entries:
        copy = known.get(entry.path)
        if copy is None or (copy.bytes, copy.sha256) != (entry.bytes, entry.sha256):
            upload.append(entry)
        else:
            pinned = Entry(path=entry.path, bytes=entry.bytes, sha256=entry.sha256, version=copy.version)
            (keep if copy.locked_until >= at_least else renew).append(pinned)
    return CopyPlan(until, tuple(sorted(upload, key=comes_last)), tuple(renew), tuple(keep))


def comes_last(entry: Entry) -> int:
    """0, or the later the more: the catalogue after all it tells of, and what points to the catalogue after that."""
    return 2 if entry.path == "index.latest" else 1 if re.fullmatch(r"index-\d+", entry.path) else 0


def lock_end(today: date, days: int) -> datetime:
    """The end of the day (UTC) that is *days* after *today*."""
    return datetime.combine(today + timedelta(days=days + 1), time(), UTC)


def check_lock(lock_days: int, retention_days: int) -> None:
    """LockTooShort: *lock_days* are less than the days that a snapshot is kept."""
    if lock_days < retention_days:
        raise LockTooShort(
            f"copies are locked for {lock_days} days, and snapshots are kept for {retention_days}",
            hint="raise offsite_lock_days, or lower retention_days: a snapshot's copy must outlast it",
        )


def root_of(cluster: str, repository_uuid: str) -> str:
    """Under which all copies of a repository lie. A UUID, because another repository may be given the same name."""
    for part in (cluster, repository_uuid):
        if not _PART.fullmatch(part) or part in {".", ".."}:
            raise BadInput(f"{part!r} cannot be part of an object's key", hint="expected letters, digits, _ . and -")
    return f"{cluster}/{repository_uuid}"


def blob_key(root: str, path: str) -> str:
    """Of the copy of the blob at *path*."""
    return f"{root}/blobs/{path}"


def manifest_key(root: str, night: date, snapshot_uuid: str) -> str:
    """Of a night's manifest."""
    return f"{root}/manifests/{night.isoformat()}-{snapshot_uuid}.jsonl.gz"


@dataclass(frozen=True, order=True)
class ManifestName:
    """What a manifest's key says. It sorts by root, then by night."""

    root: str
    night: date
    snapshot_uuid: str


def manifest_name(key: str) -> ManifestName | None:
    """What *key* says; None where it is no manifest's."""
    if not (found := _MANIFEST.fullmatch(key)):
        return None
    try:
        return ManifestName(found["root"], date.fromisoformat(found["night"]), found["snapshot"])
    except ValueError:
        return None
