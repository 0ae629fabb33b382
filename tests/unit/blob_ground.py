"""The sample repository as a cluster tells it, and a record of nights in memory."""

import json
from dataclasses import dataclass, field
from datetime import date, timedelta

from steward.repository.comparing import KeptManifest, is_immutable
from steward.repository.due import Known
from steward.repository.layout import STATES
from steward.snapshots.blob_check import check_night_blobs
from steward.snapshots.blob_record import Tonight
from tests.unit.repository.sample import CATALOGUE, GENERATION, Memory, sample, uuid_of

SAMPLE = sample()
CATALOGUE_OF_SAMPLE = json.loads(SAMPLE[CATALOGUE])
NIGHT = date(2026, 5, 2)
TONIGHT = Tonight("nightly", "two", uuid_of(SAMPLE, "two"), NIGHT, retention_days=30, blob_check_days=30)


@dataclass
class Cluster:
    """What production answers of the undamaged sample; `moves` are generations that it is at, one a question."""

    generation: int = GENERATION
    pending: int = GENERATION
    moves: list = field(default_factory=list)
    without: tuple = ()

    def request(self, _method, path, _body=None, **_):
        if path.startswith("/_cluster/state"):
            at = self.moves.pop(0) if self.moves else self.generation
            found = {"uuid": CATALOGUE_OF_SAMPLE["uuid"], "generation": at, "pending_generation": self.pending}
            return {"metadata": {"cluster_uuid": CATALOGUE_OF_SAMPLE["cluster_id"], "repositories": {"nightly": found}}}
        return {
            "snapshots": [told(each) for each in CATALOGUE_OF_SAMPLE["snapshots"] if each["name"] not in self.without]
        }


def told(listed):
    return {
        "snapshot": listed["name"],
        "uuid": listed["uuid"],
        "state": STATES[listed["state"]],
        "start_time_in_millis": listed["start_time_millis"],
        "end_time_in_millis": listed["end_time_millis"],
        "version_id": listed["index_version"],
    }


@dataclass
class Book:
    """A record in memory. `verify` makes tonight's manifest the last."""

    night: date = NIGHT
    kept: list = field(default_factory=list)
    blobs: dict = field(default_factory=dict)
    notes: dict = field(default_factory=dict)
    gone: list = field(default_factory=list)
    nights: dict = field(default_factory=dict)
    calls: int = 0

    def take_up(self):
        pass

    def manifests(self):
        return [each for each, _ in self.kept]

    def known(self, _uuid):
        return dict(self.blobs)

    def noted(self, _uuid):
        return dict(self.notes)

    def note(self, _uuid, new, confirmed):
        self.calls += 1
        self.notes |= {each.path: each for each in new}
        for path in confirmed:
            was = self.blobs[path]
            self.blobs[path] = Known(path, was.bytes, was.sha256, self.night, was.first_night, was.last_night)

    def verified(self):
        return dict(self.nights)

    def tell_gone(self, snapshots):
        self.gone += snapshots

    def needed(self, paths, snapshots):
        return set(self.needing(paths, snapshots))

    def needing(self, paths, snapshots):
        found = {}
        for each, manifest in self.kept:
            for path in {entry.path for entry in manifest.entries} & paths if each.snapshot in snapshots else ():
                found.setdefault(path, []).append(each.snapshot)
        return found

    def keep(self, manifest, _blob_bytes):
        self.tonights = manifest

    def verify(self, generation=None):
        """As a night that was VERIFIED leaves it, and the next one finds it."""
        manifest = self.tonights
        kept = KeptManifest(
            manifest.snapshot,
            manifest.snapshot_uuid,
            self.night,
            manifest.repository,
            manifest.generation if generation is None else generation,
        )
        self.kept.append((kept, manifest))
        self.nights[manifest.snapshot] = self.night
        for entry in manifest.entries:
            if is_immutable(entry.path) and entry.path not in self.blobs:
                self.blobs[entry.path] = Known(entry.path, entry.bytes, entry.sha256, self.night, self.night)
        self.notes, self.night = {}, self.night + timedelta(days=1)


def check(blobs=SAMPLE, book=None, cluster=None, touch=lambda: None, **changes):
    """The check of snapshot `two` as it lies in *blobs*."""
    tonight = Tonight(**{**vars(TONIGHT), **changes})
    blobs = blobs if isinstance(blobs, Memory) else Memory(blobs)
    return check_night_blobs(blobs, cluster or Cluster(), Book() if book is None else book, tonight, touch=touch)


def after_a_night():
    """The record once snapshot `one` was VERIFIED the night before."""
    book = Book(night=NIGHT - timedelta(days=1))
    check(book=book, snapshot="one", snapshot_uuid=uuid_of(SAMPLE, "one"), night=book.night)
    book.verify(generation=GENERATION - 1)
    return book
