"""The copy of a snapshot's blobs: from the repository, as it lies, into the bucket that locks them.

What is there from older nights is not copied again: its lock is made longer, or, where it is long enough, looked at. New
blobs go up side by side, the catalogue last. A try that was killed goes on where it was: what it wrote is found by its
bytes, and never written twice.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec

from steward.clients.offsite_bucket import OffsiteBucket
from steward.clients.offsite_copies import StoredCopy
from steward.clients.offsite_errors import ContentDiffers, LockCannotBeRenewed
from steward.clients.offsite_terms import CopyOutcome, CopyTerms, tonights
from steward.clients.s3 import ObjectMissing
from steward.errors import Unavailable
from steward.repository import layout
from steward.repository.account import Damage
from steward.repository.blobs import Blobs
from steward.repository.copying import (
    SLACK_DAYS,
    Content,
    Copied,
    Lock,
    blob_key,
    comes_last,
    lock_end,
    manifest_key,
    plan_copy,
)
from steward.repository.errors import BlobMissing, BlobRefused, MalformedBlob, SnapshotAbsent
from steward.repository.hashing import in_threads
from steward.repository.manifest import Entry, Manifest
from steward.repository.repinning import Repinned, newest_generation, pin_anew
from steward.snapshots.findings import Finding, refuted, unknown
from steward.snapshots.offsite_document import OffsiteDocument, folder_of

#: Each holds two parts in memory, 32 MiB, where blobs are large; where they are small it mostly waits for answers.
THREADS = 6
#: How often a snapshot is pinned anew while somebody else writes to the repository.
MOST_PINS = 3
#: Copies are told to the record in groups of this size.
GROUP = 200
PAUSES_SECONDS = (0.0, 2.0)

Tell = Callable[[dict[str, Copied]], None]


class RepositoryUnsteady(Unavailable):
    """The repository moved again and again while it was copied."""


def copy_blobs(
    blobs: Blobs,
    bucket: OffsiteBucket,
    manifest: Manifest,
    known: Mapping[str, Copied],
    terms: CopyTerms,
    *,
    tell: Tell = lambda _: None,
    on_blob: Callable[[int, int], None] = lambda _done, _of: None,
    threads: int = THREADS,
) -> CopyOutcome:
    """Bring everything that *manifest* lists into the bucket, locked as *terms* say, given the copies *known* by path.

    *tell* is told, in this thread, of each group of copies once they are there; *on_blob*, after each one, the bytes that
    are uploaded, and of how many. What is wrong with a copy, or with a blob
    since it was checked, is a finding. Raises what *blobs*, *bucket* and *tell* do, and RepositoryUnsteady.
    """
    copying = _Copying(blobs, bucket, terms, dict(known), tell, on_blob, threads)
    for _ in range(MOST_PINS):
        stale = copying.copy(manifest)
        if not stale:
            return copying.outcome
        if newest_generation(blobs) == manifest.generation:
            # Nobody has written to it since: what is not as it was checked is damage.
            copying.outcome.findings += stale
            return copying.outcome
        if not (anew := copying.pin_anew(manifest)):
            return copying.outcome
        manifest = anew
    raise RepositoryUnsteady(
        f"the repository moved {MOST_PINS} times while it was copied",
        hint="who deletes or takes snapshots at this hour? a later try goes on where this one was",
    )


def put_document(bucket: OffsiteBucket, document: OffsiteDocument, terms: CopyTerms) -> StoredCopy:
    """The last object of a copy: locked as its blobs are, and never written twice."""
    body = document.body()
    key = manifest_key(terms.root, document.night, document.blobs.snapshot_uuid)
    content = Content(len(body), hashlib.sha256(body).hexdigest())
    lock = Lock(terms.mode, lock_end(terms.today, terms.lock_days + SLACK_DAYS))
    return bucket.put(key, iter([body]), content, lock)


@dataclass
class _Copying:
    blobs: Blobs
    bucket: OffsiteBucket
    terms: CopyTerms
    known: dict[str, Copied]
    tell: Tell
    on_blob: Callable[[int, int], None]
    threads: int
    outcome: CopyOutcome = field(default_factory=CopyOutcome)
    found: set[str] = field(default_factory=set[str])
    """Paths of copies that were found wrong: each is told once."""
    fresh: set[str] = field(default_factory=set[str])
    """Paths of copies that were written or renewed just now."""

    def copy(self, manifest: Manifest) -> list[Finding]:
        """One pass: what is not in the repository as *manifest* says; where there is any, all else is copied."""
        path = layout.catalogue_path(manifest.generation)
        try:
            self.outcome.catalogue = layout.catalogue(path, self.blobs.read(path))
        except (BlobMissing, MalformedBlob) as error:
            return [refuted(path, error.message)]
        plan = plan_copy(manifest.entries, self.known, self.terms.today, self.terms.lock_days)
        lock = Lock(self.terms.mode, plan.locked_until)
        self.outcome.locked_until = plan.locked_until
        gone, doubtful = self._look([entry for entry in plan.keep if entry.path not in self.fresh])
        lost = self._renew([*plan.renew, *doubtful], lock)
        stale = self._upload([*gone, *lost, *plan.upload], lock)
        if not stale:
            self.outcome.manifest = self._pinned(manifest)
        return stale

    def pin_anew(self, manifest: Manifest) -> Manifest | None:
        """The same snapshot at the generation that is there now; None: it is not there whole, which is told."""
        repinned = Repinned(None)
        for pause in PAUSES_SECONDS:
            # A catalogue is written a moment before what points to it.
            time.sleep(pause)
            repinned = self._repinned(manifest)
            if repinned.manifest:
                return repinned.manifest
        self.outcome.findings += [refuted(self._subject(each.path), each.fact) for each in repinned.damage]
        return None

    def _repinned(self, manifest: Manifest) -> Repinned:
        try:
            return pin_anew(self.blobs, manifest)
        except (BlobMissing, MalformedBlob, SnapshotAbsent) as error:
            return Repinned(None, (Damage(manifest.snapshot, error.message),))

    def _look(self, keep: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
        """Of copies that should be locked for long enough: those that are gone or others, and those whose lock is not."""
        if not keep:
            return [], []
        self.outcome.kept, self.outcome.looked_at = len(keep), 0
        gone = self._unlisted(keep)
        for entry in gone:
            self._tell_gone(entry)
        doubtful = list[Entry]()
        paths = {entry.path for entry in gone}
        looked = tonights(tuple(entry for entry in keep if entry.path not in paths), self.terms.today)
        for entry, state in in_threads(self._state, looked, self.threads):
            self.outcome.looked_at += 1
            if state is None:
                self._tell_gone(entry)
            if state is None or not self._is_whole(entry, state):
                gone.append(entry)
            elif not state.is_locked(self.terms.at_least):
                doubtful.append(entry)
                self._tell_short(entry, state)
        self.outcome.kept -= len(gone) + len(doubtful)
        return gone, doubtful

    def _unlisted(self, keep: Sequence[Entry]) -> list[Entry]:
        """Those whose version is not in the bucket's listing any more; there may be millions."""
        prefix, left = blob_key(self.terms.root, ""), {entry.path: entry for entry in keep}
        for each in self.bucket.each_version(prefix):
            path = each.key.removeprefix(prefix)
            if path in left and left[path].version == each.version:
                del left[path]
        return list(left.values())

    def _state(self, entry: Entry) -> tuple[Entry, StoredCopy | None]:
        try:
            return entry, self.bucket.state(blob_key(self.terms.root, entry.path), entry.version)
        except ObjectMissing:
            return entry, None

    def _renew(self, entries: Iterable[Entry], lock: Lock) -> list[Entry]:
        """Make locks longer; those of which nothing is left to be made longer, which go up anew."""
        lost = list[Entry]()

        def renew(entry: Entry) -> tuple[Entry, StoredCopy | LockCannotBeRenewed | None]:
            try:
                return entry, self.bucket.renew(blob_key(self.terms.root, entry.path), entry.version, lock)
            except LockCannotBeRenewed as error:
                return entry, error
            except ObjectMissing:
                return entry, None

        with self._telling() as told:
            for entry, came in in_threads(renew, entries, self.threads):
                if isinstance(came, StoredCopy) and self._is_whole(entry, came):
                    told(entry, came)
                    self.outcome.renewed += 1
                    continue
                lost.append(entry)
                if came is None:
                    self._tell_gone(entry)
                elif isinstance(came, LockCannotBeRenewed) and came.why == "lapsed":
                    self._tell(entry.path, came.message)
        return lost

    def _upload(self, entries: Iterable[Entry], lock: Lock) -> list[Finding]:
        """Blobs side by side; then, only if none of them is stale, the catalogue."""
        ordered = sorted(entries, key=comes_last)
        side_by_side = [entry for entry in ordered if not comes_last(entry)]
        return self._put_all(side_by_side, lock, self.threads) or self._put_all(ordered[len(side_by_side) :], lock, 1)

    def _put_all(self, entries: Sequence[Entry], lock: Lock, threads: int) -> list[Finding]:
        stale, of = list[Finding](), self.outcome.uploaded_bytes + sum(entry.bytes for entry in entries)

        def put(entry: Entry) -> tuple[Entry, StoredCopy | Finding]:
            return entry, self._put(entry, lock)

        with self._telling() as told:
            for entry, came in in_threads(put, entries, threads):
                if isinstance(came, Finding):
                    stale.append(came)
                else:
                    told(entry, came)
                    self.outcome.uploaded += 1
                    self.outcome.uploaded_bytes += entry.bytes
                    self.on_blob(self.outcome.uploaded_bytes, of)
        return stale

    def _put(self, entry: Entry, lock: Lock) -> StoredCopy | Finding:
        before, content = self.known.get(entry.path), Content(entry.bytes, entry.sha256)
        # One that is known with other bytes was found damaged, or is another by now.
        instead_of = before.version if before and Content(before.bytes, before.sha256) != content else ""
        key = blob_key(self.terms.root, entry.path)
        try:
            return self.bucket.put(key, self.blobs.chunks(entry.path), content, lock, instead_of=instead_of)
        except (BlobMissing, ContentDiffers) as error:
            return refuted(self._subject(entry.path), f"since it was checked: {error.message}")
        except BlobRefused as error:
            return unknown(self._subject(entry.path), error.message)

    @contextmanager
    def _telling(self) -> Generator[Callable[[Entry, StoredCopy], None]]:
        """Copies are known here at once, and on record in groups: the last of them even where an error ends it."""
        group = dict[str, Copied]()

        def told(entry: Entry, stored: StoredCopy) -> None:
            until = stored.locked_until or self.terms.at_least.until
            group[entry.path] = self.known[entry.path] = Copied(entry.bytes, entry.sha256, stored.version, until)
            self.fresh.add(entry.path)
            if len(group) >= GROUP:
                self.tell(dict(group))
                group.clear()

        try:
            yield told
        finally:
            if group:
                self.tell(group)

    def _pinned(self, manifest: Manifest) -> Manifest:
        return msgspec.structs.replace(
            manifest,
            entries=tuple(
                msgspec.structs.replace(entry, version=self.known[entry.path].version) for entry in manifest.entries
            ),
        )

    def _is_whole(self, entry: Entry, stored: StoredCopy) -> bool:
        if stored.holds(Content(entry.bytes, entry.sha256)):
            return True
        seen = f"{stored.bytes:,} bytes of SHA-256 {stored.sha256 or 'none'}"
        self._tell(entry.path, f"the store tells of {seen}, expected {entry.bytes:,} of {entry.sha256}")
        self.known[entry.path] = self.known[entry.path].distrusted()
        return False

    def _tell_gone(self, entry: Entry) -> None:
        until = self.known[entry.path].locked_until
        self._tell(entry.path, f"version {entry.version} is gone, which was locked until {until:%Y-%m-%d %H:%M} UTC")

    def _tell_short(self, entry: Entry, state: StoredCopy) -> None:
        if state.mode and not state.mode.holds(self.terms.mode):
            return  # The policy has become stricter since.
        until, record = state.locked_until, self.known[entry.path].locked_until
        fact = f"version {entry.version} is locked until {until or 'never'}, on record until {record}"
        self._tell(entry.path, f"{fact}; expected {self.terms.at_least.until} at least")

    def _tell(self, path: str, fact: str) -> None:
        if path not in self.found:
            self.found.add(path)
            self.outcome.findings.append(refuted(self._subject(path), f"its off-site copy: {fact}"))

    def _subject(self, path: str) -> str:
        """The index first where the blob is of one: its tenant is blamed by that."""
        indices = self.outcome.catalogue.indices.items() if self.outcome.catalogue else ()
        index = next((name for name, each in indices if each.id == folder_of(path)), None)
        return f"{index}[{path}]" if index else path
