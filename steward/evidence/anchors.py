"""What is kept of the log under Object Lock: its signed checkpoints, and the hash of each leaf with what it is about.

The first shows that the log was longer, or another one, than it is made to look; the second names the entry that was
damaged. Objects are written once. Readers take the first version of each, whatever was put over it or marked as
deleted since: that is the one which nobody can take back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from steward.clients.s3 import LockedBucket, StoredObject
from steward.evidence.canonical import canonical_json, strict_json
from steward.evidence.errors import EvidenceConflict, UnusableNote
from steward.evidence.log import KeptCheckpoint, LogEntry
from steward.evidence.notes import read_note

#: Requests at once where everything is read: each takes some milliseconds, most of it waiting.
_READERS = 8


@dataclass(frozen=True)
class AnchoredLeaf:
    """The hash of entry *index*, and which statement it is."""

    index: int
    leaf: bytes
    statement: str
    about: str


@dataclass(frozen=True)
class Anchored:
    """All that is anchored of one log, by the objects' names below `log/ID/`, unread and unverified."""

    checkpoints: dict[str, bytes]
    leaves: dict[str, bytes]


@dataclass(frozen=True)
class Anchors:
    """The anchors of one log in the bucket for evidence."""

    bucket: LockedBucket
    log: str
    lock_days: int

    def put_checkpoint(self, kept: KeptCheckpoint) -> tuple[str, str]:
        """(key, version) of the checkpoint's object, made now or before."""
        key = f"{self._checkpoints}{kept.size:012}"
        stored = self._put(key, kept.note.encode())
        if _text(stored.body) != _text(kept.note.encode()):
            raise _conflict(key)
        return key, stored.version_id

    def put_leaves(self, entries: list[tuple[LogEntry, bytes]]) -> tuple[str, str]:
        """(key, version) of the object that holds these leaves' hashes; there is at least one, without gaps."""
        begin, end = entries[0][0].index, entries[-1][0].index + 1
        key = f"log/{self.log}/leaves/{begin:012}-{end:012}"
        wanted = write_leaves(entries)
        stored = self._put(key, wanted)
        if stored.body != wanted and not _same_leaves(stored.body, wanted):
            raise _conflict(key)
        return key, stored.version_id

    def checkpoints_after(self, size: int) -> Iterator[bytes]:
        """The notes of more than *size* entries, largest first."""
        found = self.bucket.first_versions(self._checkpoints, after=f"{self._checkpoints}{size:012}")
        return (self.bucket.get(key, found[key]).body for key in sorted(found, reverse=True))

    def read(self) -> Anchored:
        """Everything, for whoever verifies."""
        prefix = f"log/{self.log}/"
        versions = self.bucket.first_versions(prefix)
        with ThreadPoolExecutor(_READERS) as pool:
            bodies = pool.map(lambda one: self.bucket.get(*one).body, versions.items())
            named = dict(zip((key.removeprefix(prefix) for key in versions), bodies, strict=True))
        parts = ("checkpoints", "leaves")
        return Anchored(*({key: body for key, body in named.items() if key.startswith(f"{part}/")} for part in parts))

    @property
    def _checkpoints(self) -> str:
        return f"log/{self.log}/checkpoints/"

    def _put(self, key: str, body: bytes) -> StoredObject:
        until = datetime.now(UTC) + timedelta(days=self.lock_days)
        return self.bucket.put_once(key, body, locked_until=until)


def other_logs(bucket: LockedBucket, log: str) -> list[str]:
    """Logs that were anchored in this bucket besides *log*: a database that was laid anew began another one."""
    logs = {key.split("/")[1] for key in bucket.first_versions("log/")}
    return sorted(logs - {log})


def write_leaves(entries: Iterable[tuple[LogEntry, bytes]]) -> bytes:
    """As canonical JSON: `{"leaves": [{"index", "leaf", "statement", "operation", "subject", "period", "attempt"}]}`."""
    return canonical_json({"leaves": [_leaf(entry, leaf) for entry, leaf in entries]})


def read_leaves(body: bytes) -> list[AnchoredLeaf]:
    """What `write_leaves` wrote. ValueError where it is something else."""
    try:
        return [_anchored(leaf) for leaf in strict_json(body)["leaves"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"no hashes of leaves: {type(error).__name__}") from None


def _leaf(entry: LogEntry, leaf: bytes) -> dict[str, object]:
    row = entry.row
    about = {"operation": row.operation, "subject": row.subject, "period": row.period} if row else {}
    return {
        "index": entry.index,
        "leaf": leaf.hex(),
        "statement": row.digest if row else "",
        "attempt": row.attempt if row else 0,
        **about,
    }


def _anchored(leaf: dict[str, Any]) -> AnchoredLeaf:
    about = f"{leaf.get('operation')} of {leaf.get('subject')}, period {leaf.get('period')}, attempt {leaf['attempt']}"
    return AnchoredLeaf(int(leaf["index"]), bytes.fromhex(leaf["leaf"]), str(leaf["statement"]), about)


def _same_leaves(one: bytes, other: bytes) -> bool:
    try:
        return [(leaf.index, leaf.leaf) for leaf in read_leaves(one)] == [
            (leaf.index, leaf.leaf) for leaf in read_leaves(other)
        ]
    except ValueError:
        return False


def _text(note: bytes) -> str | None:
    try:
        return read_note(note).text
    except UnusableNote:
        return None


def _conflict(key: str) -> EvidenceConflict:
    return EvidenceConflict(
        f"object {key} holds something else than the database's log",
        hint="see `python -m steward.evidence verify`: was the database restored, or the object written over?",
    )
