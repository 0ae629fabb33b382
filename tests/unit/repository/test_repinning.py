from __future__ import annotations

import hashlib

import msgspec
import pytest

from steward.repository.closure import closure_of
from steward.repository.errors import BlobMissing, SnapshotAbsent
from steward.repository.manifest import Entry, Manifest
from steward.repository.repinning import newest_generation, pin_anew
from tests.unit.repository.sample import CATALOGUE, Memory, flipped, paths, sample, uuid_of


@pytest.fixture
def blobs():
    return sample()


@pytest.fixture
def checked(blobs):
    closure = closure_of(blobs, 1, uuid_of(blobs, "two"))
    entries = tuple(
        Entry(path=each.path, bytes=len(blobs[each.path]), sha256=hashlib.sha256(blobs[each.path]).hexdigest())
        for each in closure.needed
    )
    return Manifest(closure.catalogue.uuid, 1, "two", closure.snapshot.uuid, entries)


def moved(blobs):
    blobs["index-2"] = blobs.pop(CATALOGUE)
    blobs["index.latest"] = (2).to_bytes(8, "big")
    return blobs


def test_a_repository_that_stands_is_pinned_as_it_was(blobs, checked):
    assert pin_anew(blobs, checked).manifest.text() == checked.text()


def test_what_moved_is_pinned_at_its_new_generation(blobs, checked):
    anew = pin_anew(moved(blobs), checked).manifest
    assert (anew.generation, anew.snapshot_uuid) == (2, checked.snapshot_uuid)
    now, before = ({e.path: e for e in each.entries} for each in (anew, checked))
    assert now.keys() == before.keys() - {CATALOGUE} | {"index-2"}
    assert now["index.latest"].sha256 == hashlib.sha256(blobs["index.latest"]).hexdigest()
    # Data was read when it was checked, and is what it was.
    assert all(now[path] == before[path] for path in now.keys() & before.keys() - {"index.latest"})


def test_data_that_nobody_has_read_is_damage(blobs, checked):
    data = next(e.path for e in checked.entries if "/__" in e.path)
    lacking = msgspec.structs.replace(checked, entries=tuple(e for e in checked.entries if e.path != data))
    anew = pin_anew(moved(blobs), lacking)
    assert anew.manifest is None
    assert [each.path for each in anew.damage] == [data]


def test_metadata_that_is_another_now_is_damage(blobs, checked):
    path = next(e.path for e in checked.entries if e.path.startswith("snap-"))
    other = tuple(msgspec.structs.replace(e, sha256="0" * 64) if e.path == path else e for e in checked.entries)
    anew = pin_anew(moved(blobs), msgspec.structs.replace(checked, entries=other))
    assert [each.path for each in anew.damage] == [path]
    assert "was " + "0" * 64 in anew.damage[0].fact


def test_metadata_that_is_damaged_now_is_damage(blobs, checked):
    path = next(
        path for path in paths(blobs, begins="meta-", holds="indices/") if path in {e.path for e in checked.entries}
    )
    blobs[path] = flipped(blobs[path], len(blobs[path]) // 2)
    anew = pin_anew(moved(blobs), checked)
    assert path in {each.path for each in anew.damage}


def test_a_snapshot_that_was_deleted_is_absent(blobs, checked):
    with pytest.raises(SnapshotAbsent):
        pin_anew(moved(blobs), msgspec.structs.replace(checked, snapshot_uuid="gone"))


def test_where_nothing_lies_there_is_nothing_to_pin(checked):
    assert newest_generation(Memory()) == -1
    with pytest.raises(BlobMissing):
        pin_anew(Memory(), checked)
