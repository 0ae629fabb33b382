"""The blobs of a night: what its snapshot needs is there, whole, and what it was; and so is what older ones need.

A restore reads what it needs of one snapshot, and takes for right whatever has a right checksum. It reads neither what
the next snapshot builds on nor what a cluster begins with that has lost everything, and cannot tell a repository from an
older state of it. So all of it is read here: new blobs whole, and those of earlier nights again when it is their turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from steward.repository import comparing, layout
from steward.repository.account import Account
from steward.repository.blobs import Blobs
from steward.repository.closure import Closure, closure_of
from steward.repository.comparing import KeptManifest, Standing
from steward.repository.due import Known, plan_reading
from steward.repository.errors import BlobMissing, BlobRefused, MalformedBlob, SnapshotAbsent
from steward.repository.hashing import Fault, Read, Reading
from steward.repository.layout import Catalogue
from steward.repository.shard_files import generation_of
from steward.snapshots.api import SearchApi
from steward.snapshots.blob_outcome import Outcome, report
from steward.snapshots.blob_reading import Reader
from steward.snapshots.blob_record import Record, Tonight
from steward.snapshots.blob_report import BlobsChecked
from steward.snapshots.repository_state import standing, told_snapshots

#: How often it is begun anew where the repository moves meanwhile: somebody deletes snapshots, or takes another.
MOST_PINS = 3
PIN_PAUSE_SECONDS = 2.0
READERS = 2


def check_night_blobs(
    blobs: Blobs,
    api: SearchApi,
    record: Record,
    tonight: Tonight,
    *,
    touch: Callable[[], None] = lambda: None,
    readers: int = READERS,
) -> BlobsChecked:
    """Everything that tonight's snapshot needs, and what is due of older ones. *touch* is called all the while.

    Whatever is wrong is a finding. Raises BlobsAway where the place does not answer, and what *api* and *record* raise.
    """
    began = time.monotonic()
    record.take_up()
    checking = _Checking(blobs, api, record, tonight, touch, readers)
    outcome = checking.steady()
    return report(outcome, record, tonight, time.monotonic() - began, checking.bytes)


@dataclass
class _Checking:
    blobs: Blobs
    api: SearchApi
    record: Record
    tonight: Tonight
    touch: Callable[[], None]
    readers: int
    bytes: int = 0

    def steady(self) -> Outcome:
        """The outcome of a look during which the repository stood still, or showed nothing that a move explains."""
        for pause in (*[PIN_PAUSE_SECONDS] * (MOST_PINS - 1), 0):
            outcome = self.once()
            if not outcome.may_be_of_a_move or not self.moved_since(outcome.pinned):
                return outcome
            time.sleep(pause)
        unsteady = Outcome(standing(self.api, self.tonight.repository))
        fact = f"it moved while it was read, {MOST_PINS} times: who deletes or takes snapshots at this hour?"
        unsteady.add([Fault(self.tonight.repository, fact, unread=True)])
        return unsteady

    def moved_since(self, pinned: Standing) -> bool:
        return pinned.moving or standing(self.api, self.tonight.repository) != pinned

    def once(self) -> Outcome:
        """Look at all of it, at one generation, and read what is to be read."""
        outcome = Outcome(standing(self.api, self.tonight.repository))
        generations = layout.generations(self.blobs.sizes("index-"))
        if fault := self._unusable(outcome.pinned, generations):
            outcome.add([fault])
        elif closure := self._closure(outcome, generations):
            outcome.closure = closure
            self._compare(outcome, closure, generations)
            self._read(outcome, closure)
        return outcome

    def _unusable(self, pinned: Standing, generations: list[int]) -> Fault | None:
        """Why nothing can be looked at."""
        if not generations and not self.blobs.sizes():
            # As a share that is not mounted.
            return Fault(layout.LATEST, "no blob lies there: is the repository mounted, and is it there?", unread=True)
        if pinned.generation == comparing.CORRUPTED:
            path = layout.catalogue_path(generations[-1]) if generations else layout.LATEST
            return Fault(path, "the cluster found that another hand changed the repository, and uses it no more")
        if pinned.generation < 0:
            return Fault(layout.LATEST, f"the cluster knows no generation: {pinned.generation}", unread=True)
        return None

    def _closure(self, outcome: Outcome, generations: list[int]) -> Closure | None:
        """Of tonight's snapshot at the cluster's generation; None, and what is wrong is told, where there is none."""
        path = layout.catalogue_path(outcome.pinned.generation)
        try:
            return closure_of(self.blobs, outcome.pinned.generation, self.tonight.snapshot_uuid, self._side_by_side)
        except BlobMissing:
            outcome.add([Fault(path, "it is missing", missing=True)])
        except (MalformedBlob, SnapshotAbsent) as error:
            outcome.add([Fault(path, error.why if isinstance(error, MalformedBlob) else error.message)])
        except BlobRefused as refused:
            outcome.add([Fault(refused.path, refused.message, unread=True)])
        outcome.add(self._newest(outcome.pinned, generations))
        return None

    def _side_by_side(self, read: Callable[[str], Account], names: Iterable[str]) -> Iterator[Account]:
        with ThreadPoolExecutor(self.readers) as pool:
            for account in pool.map(read, names):
                self.touch()
                yield account

    def _newest(self, pinned: Standing, generations: list[int]) -> Iterator[Fault]:
        """What the newest catalogue there is shows, where the cluster's own says nothing: an older state, another repository."""
        path = layout.catalogue_path(generations[-1] if generations else pinned.generation)
        try:
            catalogue = layout.catalogue(path, self.blobs.read(path))
        except (BlobMissing, MalformedBlob, BlobRefused):
            return
        yield from comparing.compare_standing(path, catalogue, pinned, generations, self._last(catalogue))

    def _last(self, catalogue: Catalogue) -> KeptManifest | None:
        """The last manifest; none where it was told already that its snapshot is gone: nothing follows from it."""
        manifests = self.record.manifests()
        standing_by = self.record.verified().keys() | {each.name for each in catalogue.snapshots}
        return manifests[-1] if manifests and manifests[-1].snapshot in standing_by else None

    def _compare(self, outcome: Outcome, closure: Closure, generations: list[int]) -> None:
        """Everything that shows without reading what is not metadata."""
        path, catalogue = layout.catalogue_path(closure.generation), closure.catalogue
        outcome.add(Fault(each.path, _fact(each.fact, each.against), missing=each.missing) for each in closure.damage)
        last = self._last(catalogue)
        outcome.add(comparing.compare_standing(path, catalogue, outcome.pinned, generations, last))
        outcome.add(comparing.compare_snapshots(path, catalogue, told_snapshots(self.api, self.tonight.repository)))
        outcome.known = self.record.known(catalogue.uuid)
        sizes = self.blobs.sizes()
        outcome.add(comparing.compare_sizes(closure, sizes, outcome.known))
        elders = comparing.find_elders(outcome.known.values(), outcome.paths, catalogue, self.record.manifests())
        outcome.elders = {blob.path: blob for blob in elders}
        outcome.add(self._needed(outcome, list(comparing.compare_elders(outcome.elders.values(), sizes))))
        outcome.others = set(comparing.other_generations(catalogue, outcome.paths))
        self._compare_generations(outcome, closure, sizes)

    def _needed(self, outcome: Outcome, faults: list[Fault]) -> list[Fault]:
        """Those of blobs that an older snapshot does need: between two nights that need one there may be one that does not."""
        needed = self.record.needed({fault.path for fault in faults}, outcome.listed) if faults else set[str]()
        return [fault for fault in faults if fault.path in needed]

    def _compare_generations(self, outcome: Outcome, closure: Closure, sizes: Mapping[str, int]) -> None:
        """Whether shards' generations list all that older snapshots need; those, too, that tonight's does not have."""
        generations = dict(closure.generations)
        for path in sorted(outcome.others):
            self.touch()
            try:
                generations[path] = generation_of(layout.shard_generation(path, self.blobs.read(path)))
            except BlobMissing:
                outcome.add([Fault(path, "it is missing", missing=True)])
            except MalformedBlob as malformed:
                outcome.add([Fault(path, malformed.why)])
            except BlobRefused as refused:
                outcome.add([Fault(path, refused.message, unread=True)])
        outcome.add(comparing.compare_generations(generations, closure.catalogue, sizes))
        unlisted = dict(comparing.find_unlisted(generations, outcome.elders))
        needed = self.record.needed(set(unlisted), outcome.listed) if unlisted else set[str]()
        outcome.add(Fault(unlisted[path], f"it does not list {path}") for path in sorted(needed))

    def _read(self, outcome: Outcome, closure: Closure) -> None:
        """New blobs whole, then those whose turn it is. What an interrupted try has read is not read again."""
        uuid = closure.catalogue.uuid
        noted = self.record.noted(uuid)
        reader = Reader(
            self.blobs,
            outcome.known,
            noted,
            lambda new, confirmed: self.record.note(uuid, new, confirmed),
            self.touch,
            self.readers,
        )
        try:
            for each in closure.metadata:
                if each.bytes is not None and each.sha256:
                    reader.take(Read((Reading(each.path, each.bytes, each.sha256),)))
            seen = outcome.known.keys() | noted.keys()
            reader.take_files(comparing.files_to_read(closure.files, seen, outcome.faults.keys()))
            reader.take_blobs(blob.path for blob in self._due(outcome, closure))
        finally:
            # Whatever ended it: what was read so far is not to be read again.
            reader.note()
            self.bytes += reader.bytes
        outcome.read, outcome.again = reader.read, reader.again
        elders = {fault.path: fault for fault in reader.faults if fault.path in outcome.elders}
        outcome.add(fault for fault in reader.faults if fault.path not in elders)
        outcome.add(self._needed(outcome, list(elders.values())))

    def _due(self, outcome: Outcome, closure: Closure) -> list[Known]:
        """Of data and of what only older snapshots need: metadata of tonight's are read every night."""
        data = (part.path for file in closure.files for part in file.parts)
        turn = [outcome.known[path] for path in data if path in outcome.known]
        due = plan_reading([*turn, *outcome.elders.values()], self.tonight.night, self.tonight.blob_check_days)
        return [blob for blob in due if blob.path not in outcome.faults]


def _fact(fact: str, against: str | None) -> str:
    return f"{fact}; see {against}, which says otherwise" if against else fact
