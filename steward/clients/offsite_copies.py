"""What an object store tells of a copy without handing it out: how much, which bytes, and until when it is locked."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from steward.clients.offsite_uploads import SHA256
from steward.clients.s3 import RETENTION_SLACK_SECONDS
from steward.repository.copying import Content, Lock, LockMode


@dataclass(frozen=True)
class StoredCopy:
    """One version of an object, as the store tells of it without handing it out."""

    key: str
    version: str
    bytes: int
    sha256: str | None
    """What the store itself compared when it arrived; of several parts, what their uploader did. None: neither."""
    mode: LockMode | None
    locked_until: datetime | None
    """None, as `mode`: it has no lock. A time in the past: it has none any longer."""

    def holds(self, content: Content) -> bool:
        """Whether it is *content*, as far as the store tells."""
        return (self.bytes, self.sha256) == (content.bytes, content.sha256)

    def is_locked(self, lock: Lock) -> bool:
        """Whether nobody that the mode of *lock* keeps out can delete it before its end."""
        late = self.locked_until and (lock.until - self.locked_until).total_seconds() <= RETENTION_SLACK_SECONDS
        return bool(late and self.mode and self.mode.holds(lock.mode))


@dataclass(frozen=True)
class StoredVersion:
    """One version in a listing."""

    key: str
    version: str
    bytes: int
    written_at: datetime


def stored_copy(key: str, head: dict[str, Any]) -> StoredCopy:
    """From the answer to a HEAD that asked for checksums, too."""
    mode = head.get("ObjectLockMode")
    return StoredCopy(
        key=key,
        version=head.get("VersionId", ""),
        bytes=head["ContentLength"],
        sha256=_sha256(head),
        mode=LockMode(mode.lower()) if mode else None,
        locked_until=head.get("ObjectLockRetainUntilDate") if mode else None,
    )


def _sha256(head: dict[str, Any]) -> str | None:
    stored: str | None = head.get("ChecksumSHA256")
    if not stored:
        return None
    # Of parts: the store compared each, and their SHA-256 together stands in the metadata that it keeps with them.
    return head["Metadata"].get(SHA256) if "-" in stored else base64.b64decode(stored).hex()
