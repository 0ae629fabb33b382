"""The generation of a shard lists what every snapshot has of that shard, or it is told which it does not."""

from copy import deepcopy
from hashlib import sha256

from msgspec import structs

from steward.repository.due import Known
from steward.repository.manifest import Entry
from steward.verdicts import Verdict
from tests.unit.blob_check_ground import ONE, TWO, A, book, facts
from tests.unit.blob_ground import SAMPLE, check
from tests.unit.repository.sample import paths, rewritten


def test_a_shards_generation_that_lists_other_files_than_the_snapshot_is_told_and_against_which():
    path = paths(SAMPLE, begins="index-", holds=A)[0]

    def fewer(document):
        document["snapshots"]["two"]["files"].pop()

    (told,) = facts(check(rewritten(SAMPLE, path, fewer), book()))
    assert path in told
    assert f"see {A}/0/snap-{TWO}.dat, which says otherwise" in told


def test_a_shards_generation_without_another_snapshot_that_has_the_shard_is_told():
    path = paths(SAMPLE, begins="index-", holds=A)[0]

    def without_one(document):
        del document["snapshots"]["one"]

    (told,) = facts(check(rewritten(SAMPLE, path, without_one), book()))
    assert path in told
    assert f"it does not list snapshot one, whose account of the shard is {A}/0/snap-{ONE}.dat" in told


def test_a_shards_generation_without_a_file_that_only_an_older_snapshot_has_is_told():
    path, elder = paths(SAMPLE, begins="index-", holds=A)[0], f"{A}/0/__only-of-one"
    record = book()
    was = Known(elder, 5, sha256(b"older").hexdigest(), record.kept[0][0].night, record.kept[0][0].night, None)
    record.blobs[elder] = was
    blobs = {**SAMPLE, elder: b"older"}
    assert check(blobs, deepcopy(record)).verdict is Verdict.VERIFIED
    entry = Entry(path=elder, bytes=5, sha256=was.sha256)
    kept, manifest = record.kept[0]
    record.kept[0] = kept, structs.replace(manifest, entries=(*manifest.entries, entry))
    (told,) = facts(check(blobs, record))
    assert path in told
    assert f"it does not list {elder}" in told
