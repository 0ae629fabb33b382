"""What one look at a repository came to, and the report that is made of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property

from steward.repository import comparing
from steward.repository.closure import Closure
from steward.repository.comparing import Standing
from steward.repository.due import Known
from steward.repository.hashing import Fault, Reading
from steward.repository.manifest import Entry, Manifest
from steward.snapshots.blob_record import Record, Tonight
from steward.snapshots.blob_report import BlobsChecked, ManifestRef
from steward.snapshots.blob_words import MOST_TOLD, tell_faults, tell_gone
from steward.snapshots.findings import Finding, unknown


@dataclass
class Outcome:
    """One look at the repository, at the generation that the cluster was at."""

    pinned: Standing
    closure: Closure | None = None
    known: Mapping[str, Known] = field(default_factory=dict[str, Known])
    elders: Mapping[str, Known] = field(default_factory=dict[str, Known])
    """What only older snapshots need."""
    others: AbstractSet[str] = frozenset()
    """Generations of shards that tonight's snapshot does not have."""
    read: Mapping[str, Reading] = field(default_factory=dict[str, Reading])
    again: AbstractSet[str] = frozenset()
    faults: dict[str, Fault] = field(default_factory=dict[str, Fault])
    """One a blob."""

    def add(self, faults: Iterable[Fault]) -> None:
        """Tell *faults*: of one blob, together."""
        for fault in faults:
            before = self.faults.setdefault(fault.path, fault)
            if before.fact != fault.fact:
                unread = before.unread and fault.unread
                self.faults[fault.path] = replace(before, fact=f"{before.fact}; {fault.fact}", unread=unread)

    @property
    def may_be_of_a_move(self) -> bool:
        """Whether a repository that is written to meanwhile may look so."""
        return self.pinned.moving or bool(self.faults)

    @cached_property
    def paths(self) -> AbstractSet[str]:
        """Of all that tonight's snapshot needs. Asked for once the closure is there."""
        return {needed.path for needed in self.closure.needed} if self.closure else frozenset()

    @property
    def listed(self) -> set[str]:
        """Names of the snapshots that are there."""
        return {each.name for each in self.closure.catalogue.snapshots} if self.closure else set()

    def is_of_others(self, path: str) -> bool:
        """Whether only older snapshots need the blob."""
        return path not in self.paths and (path in self.elders or path in self.others or path.startswith("snap-"))

    @property
    def sound(self) -> bool:
        """Nothing is wrong with what tonight's snapshot needs, and all of it was read: whatever is wrong with older ones."""
        return all(map(self.is_of_others, self.faults)) and self.paths <= self.read.keys() | self.known.keys()


def report(outcome: Outcome, record: Record, tonight: Tonight, seconds: float, read_bytes: int) -> BlobsChecked:
    """What the night says of its blobs; its manifest, where it is sound, is put on record."""
    closure = outcome.closure
    gone = _gone(outcome, record, tonight)
    findings = [*gone, *tell_faults(outcome.faults.values(), outcome, tonight.snapshot, record)]
    manifest = _manifest(outcome, closure, tonight) if closure and outcome.sound else None
    if not findings and manifest is None:
        # Not to be reached. A night without findings is VERIFIED, and this one was not read whole.
        findings = [unknown(tonight.repository, "not every blob of tonight's snapshot was read")]
    return BlobsChecked(
        seconds=seconds,
        bytes=read_bytes,
        findings=tuple(findings[:MOST_TOLD]),
        findings_total=max(len(findings), len(gone) + len(outcome.faults)),
        repository_uuid=closure.catalogue.uuid if closure else "",
        generation=closure.generation if closure else -1,
        entries=len(outcome.paths),
        entries_bytes=sum(needed.bytes or 0 for needed in closure.needed) if closure else 0,
        new=len(outcome.paths - outcome.known.keys()),
        read_again=len(outcome.again),
        elder=len(outcome.elders),
        oldest_read_nights=_oldest(outcome, tonight.night),
        manifest=_keep(manifest, record) if manifest else None,
    )


def _gone(outcome: Outcome, record: Record, tonight: Tonight) -> Sequence[Finding]:
    if outcome.closure is None:
        return ()
    catalogue, verified = outcome.closure.catalogue, record.verified()
    gone = list(comparing.find_gone(catalogue, verified, tonight.night, tonight.retention_days))
    if gone:
        record.tell_gone([name for name, _ in gone])
    return [tell_gone(name, night) for name, night in gone]


def _oldest(outcome: Outcome, night: date) -> int:
    needed = (blob for path, blob in outcome.known.items() if path in outcome.paths or path in outcome.elders)
    return max((blob.age(night) for blob in needed if blob.path not in outcome.again), default=0)


def _manifest(outcome: Outcome, closure: Closure, tonight: Tonight) -> Manifest:
    what = {path: outcome.known.get(path) or outcome.read[path] for path in outcome.paths}
    return Manifest(
        repository=closure.catalogue.uuid,
        generation=closure.generation,
        snapshot=tonight.snapshot,
        snapshot_uuid=tonight.snapshot_uuid,
        entries=tuple(Entry(path=path, bytes=each.bytes, sha256=each.sha256) for path, each in what.items()),
    )


def _keep(manifest: Manifest, record: Record) -> ManifestRef:
    blob_bytes = sum(entry.bytes for entry in manifest.entries)
    record.keep(manifest, blob_bytes)
    return ManifestRef(
        repository_uuid=manifest.repository,
        generation=manifest.generation,
        snapshot=manifest.snapshot,
        entries=len(manifest.entries),
        bytes=blob_bytes,
        sha256=manifest.digest(),
    )
