"""What is kept of the log under Object Lock: its signed checkpoints, and the hash of each leaf with what it is about.

The first shows that the log was longer, or another one, than it is made to look; the second names the entry that was
damaged. Objects are written once. Readers take the first version of each, whatever was put over it or marked as
deleted since: that is the one which nobody can take back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from steward.clients.s3 import LockedBucket, StoredObject
from steward.evidence.errors import EvidenceConflict, UnusableNote
from steward.evidence.leaves import Anchored, same_leaves, write_leaves
from steward.evidence.notes import read_note
from steward.evidence.rows import KeptCheckpoint, LogEntry

#: Other names below `log/ID/` are not ours, and never become a file's name somewhere.
_NAMES = re.compile("(checkpoints)/[0-9]+|(leaves)/[0-9]+-[0-9]+")
#: Requests at once where everything is read: each takes some milliseconds, most of it waiting.
_READERS = 8


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
        if stored.body != wanted and not same_leaves(stored.body, wanted):
            raise _conflict(key)
        return key, stored.version_id

    def checkpoints_after(self, size: int) -> Iterator[bytes]:
        """The notes of more than *size* entries, largest first."""
        found = self.bucket.first_versions(self._checkpoints, after=f"{self._checkpoints}{size:012}")
        return (self.bucket.get(key, found[key]).body for key in sorted(found, reverse=True))

    def read(self) -> Anchored:
        """Everything, for whoever verifies."""
        prefix = f"log/{self.log}/"
        found = self.bucket.first_versions(prefix)
        versions = {key: found[key] for key in found if _NAMES.fullmatch(key.removeprefix(prefix))}
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
