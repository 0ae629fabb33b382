"""Damage to the repository: each to a clone of it in a folder, as a disk, a bucket's owner or a careless hand does it."""

import shutil
from functools import partial

from steward.repository import layout
from steward.repository.account import Kind as Blob
from tests.drills.faults.kinds import KINDS, Kind, Where, kind

REPOSITORY = Where.REPOSITORY


def drawn(case, blob):
    """One blob of tonight's closure that is of that kind."""
    found = sorted(
        {each.path for each in case.closure.needed if each.kind is blob and (case.folder / each.path).stat().st_size}
    )
    return case.chance.choice(found)


def _flip(case, path):
    blob = bytearray((case.folder / path).read_bytes())
    at, bit = case.chance.randrange(len(blob)), case.chance.randrange(8)
    blob[at] ^= 1 << bit
    (case.folder / path).write_bytes(blob)
    case.note(f"{path}: byte {at} of {len(blob)}, bit {bit}")


def _delete(case, path):
    (case.folder / path).unlink()
    case.note(path)


def _truncate(case, path):
    blob = (case.folder / path).read_bytes()
    left = case.chance.randrange(len(blob))
    (case.folder / path).write_bytes(blob[:left])
    case.note(f"{path}: {left} of {len(blob)} bytes left")


def _one_of(blob, how, case):
    path = drawn(case, blob)
    how(case, path)
    return (path,)


for _words, _how in ("a bit flipped in", _flip), ("deleted:", _delete), ("cut short:", _truncate):
    for _blob in Blob:
        KINDS.append(Kind(f"{_words} {_blob}", REPOSITORY, partial(_one_of, _blob, _how)))


def _swapped(case, one, other):
    here, there = case.folder / one, case.folder / other
    here_blob, there_blob = here.read_bytes(), there.read_bytes()
    assert here_blob != there_blob
    here.write_bytes(there_blob)
    there.write_bytes(here_blob)
    case.note(f"{one} and {other}")
    return one, other


def _two(case, blob, **fits):
    found = sorted({each.path for each in case.closure.needed if each.kind is blob})
    return _swapped(case, *case.chance.sample(found, 2))


@kind("swapped: two data blobs", REPOSITORY)
def swap_data(case):
    found = sorted({each.path for each in case.closure.needed if each.kind is Blob.DATA})
    one = case.chance.choice(found)
    blob = (case.folder / one).read_bytes()
    others = [path for path in found if (case.folder / path).read_bytes() != blob]
    return _swapped(case, one, case.chance.choice(others))


@kind("swapped: two data blobs of one size", REPOSITORY)
def swap_data_of_one_size(case):
    by_size = {}
    for each in case.closure.needed:
        if each.kind is Blob.DATA:
            by_size.setdefault(each.bytes, {})[(case.folder / each.path).read_bytes()] = each.path
    pairs = [sorted(each.values())[:2] for _, each in sorted(by_size.items()) if len(each) > 1]
    return _swapped(case, *case.chance.choice(pairs))


@kind("swapped: two shards' snapshot blobs", REPOSITORY)
def swap_shard_snapshots(case):
    return _two(case, Blob.SHARD_SNAPSHOT)


@kind("swapped: two shards' generations", REPOSITORY)
def swap_shard_generations(case):
    return _two(case, Blob.SHARD_GENERATION)


@kind("swapped: two indices' metadata", REPOSITORY)
def swap_index_metadata(case):
    return _two(case, Blob.INDEX_METADATA)


@kind("swapped: two nights' global metadata", REPOSITORY)
def swap_global_metadata(case):
    one, other = (layout.global_metadata_path(uuid) for uuid in (case.night.taken.uuid, case.ground.yesterday))
    return (*_swapped(case, one, other), f"template {case.ground.name}")


@kind("swapped: two nights' snapshot blobs", REPOSITORY)
def swap_snapshots(case):
    return _swapped(case, *(layout.snapshot_path(uuid) for uuid in (case.night.taken.uuid, case.ground.yesterday)))


@kind("swapped: one index's metadata of two nights", REPOSITORY)
def swap_metadata_of_nights(case):
    catalogue, index = case.catalogue, case.catalogue.indices[case.ground.index("a")]
    one, other = (
        layout.index_metadata_path(index.id, catalogue.index_metadata_identifiers[each.index_metadata_lookup[index.id]])
        for each in catalogue.snapshots
    )
    return _swapped(case, one, other)


def _roll_back(case):
    (case.folder / case.catalogue_path).unlink()
    for path in (case.ground.back).glob("index*"):
        shutil.copy(path, case.folder)


@kind("generation rolled back, tonight's blobs left", REPOSITORY)
def roll_back(case):
    _roll_back(case)
    return case.catalogue_path, layout.LATEST


@kind("repository rolled back as a whole", REPOSITORY)
def roll_back_all(case):
    shutil.rmtree(case.folder)
    shutil.copytree(case.ground.back, case.folder)
    return case.catalogue_path, layout.LATEST


@kind("a newer generation that the cluster did not write", REPOSITORY)
def newer_generation(case):
    generation = case.closure.generation + 1
    shutil.copy(case.folder / case.catalogue_path, case.folder / layout.catalogue_path(generation))
    (case.folder / layout.LATEST).write_bytes(generation.to_bytes(8, "big"))
    return layout.catalogue_path(generation), layout.LATEST


@kind("index.latest points to another generation", REPOSITORY)
def other_latest(case):
    (case.folder / layout.LATEST).write_bytes((case.closure.generation + 7).to_bytes(8, "big"))
    return (layout.LATEST,)


@kind("a bit flipped in a blob that only last night's snapshot needs", REPOSITORY)
def older_data(case):
    needed = {each.path for each in case.closure.needed}
    path = case.chance.choice([path for path in sorted(case.ground.book.blobs) if path not in needed])
    _flip(case, path)
    return (path,)
