"""The closure of a snapshot is every blob that it needs and no other, and a blob that contradicts another one is told."""

import re
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from random import Random

import pytest

from steward.repository import layout
from steward.repository.account import Kind
from steward.repository.blob_format import RunningChecksum
from steward.repository.closure import closure_of
from steward.repository.errors import BlobMissing, BlobsAway, MalformedBlob, SnapshotAbsent
from tests.unit.repository.sample import (
    CATALOGUE,
    GENERATION,
    Memory,
    flipped,
    index_id,
    paths,
    rewritten,
    sample,
    uuid_of,
)

SAMPLE = sample()
TWO = uuid_of(SAMPLE, "two")
A, B = (f"indices/{index_id(SAMPLE, letter)}" for letter in "ab")
METADATA = sorted(path for path in SAMPLE if not path.rpartition("/")[2].startswith("__"))
OWN = f"snap-{TWO}.dat"


def closure(blobs=SAMPLE, snapshot=TWO):
    return closure_of(blobs, GENERATION, snapshot)


def told(blobs):
    """Path and fact of each damage."""
    return [(damage.path, damage.fact) for damage in closure(blobs).damage]


def only(begins, holds):
    (path,) = paths(SAMPLE, begins=begins, holds=holds)
    return path


def test_the_closures_of_all_snapshots_are_the_repository_and_nothing_is_wrong_with_it():
    closures = [closure(snapshot=uuid_of(SAMPLE, name)) for name in ("one", "two")]
    assert {needed.path for needed in chain(*(each.needed for each in closures))} == SAMPLE.keys()
    assert [each.damage for each in closures] == [(), ()]


def test_the_closure_of_a_snapshot_holds_nothing_of_another_one():
    needed = [needed.path for needed in closure().needed]
    assert len(set(needed)) == len(needed)
    foreign = SAMPLE.keys() - set(needed)
    assert {path for path in foreign if uuid_of(SAMPLE, "one") in path} == set(
        paths(SAMPLE, holds=uuid_of(SAMPLE, "one"))
    )
    assert foreign <= {needed.path for needed in closure(snapshot=uuid_of(SAMPLE, "one")).needed}


def test_every_blob_is_as_large_as_the_closure_says_and_metadata_have_their_hash_from_the_same_reading():
    found = closure()
    assert {needed.path: needed.bytes for needed in found.needed}.items() <= SAMPLE.sizes().items()
    assert all(needed.sha256 and needed.kind is not Kind.DATA for needed in found.metadata)


def test_the_parts_of_a_file_end_with_the_checksum_that_the_metadata_say():
    files = closure().files
    assert max(len(file.parts) for file in files) == 3
    for file in files:
        checksum = RunningChecksum()
        for piece in chain(*(SAMPLE.chunks(part.path) for part in file.parts)):
            checksum.update(piece)
        assert (checksum.bytes, checksum.seen, checksum.sound) == (file.bytes, file.crc32, True)


def test_indices_read_in_threads_give_the_same_closure_in_the_same_order():
    with ThreadPoolExecutor(4) as pool:
        assert closure_of(SAMPLE, GENERATION, TWO, pool.map) == closure()


def test_a_blob_is_said_of_the_index_that_it_belongs_to():
    found = closure()
    owners = {found.index_of(path) for path in SAMPLE if path.startswith(A)}
    assert (len(owners), owners.pop()[-2:]) == (1, "-a")
    assert found.index_of(OWN) is found.index_of(CATALOGUE) is None


@pytest.mark.parametrize("path", [path for path in METADATA if path != CATALOGUE])
def test_a_missing_blob_of_metadata_is_named_and_still_needed(path):
    blobs = Memory(SAMPLE)
    del blobs[path]
    found = closure(blobs)
    if path in {needed.path for needed in closure().needed}:
        assert [(damage.path, damage.missing) for damage in found.damage] == [(path, True)]
        assert [needed.path for needed in found.metadata if needed.bytes is None] == [path]
    else:
        assert found == closure()


@pytest.mark.parametrize("path", [needed.path for needed in closure().metadata if needed.path != CATALOGUE])
def test_one_flipped_bit_anywhere_in_a_blob_of_metadata_is_told_and_the_blob_named(path):
    blob = SAMPLE[path]
    for at in range(0, len(blob), 1 + len(blob) // 50):
        found = told(Memory({**SAMPLE, path: flipped(blob, at, at % 8)}))
        assert [where for where, _ in found] == [path]


def test_a_flipped_bit_in_the_catalogue_is_told_in_every_id_and_in_all_that_is_of_this_snapshot():
    """The catalogue has no checksum; what only the cluster can confirm is in `Closure.catalogue`."""
    blob = SAMPLE[CATALOGUE]
    unseen = {at for at in range(len(blob)) if not seen(Memory({**SAMPLE, CATALOGUE: flipped(blob, at, at % 7)}))}
    catalogue = closure().catalogue
    for match in re.finditer(rb'"([\w-]{20}|[\w-]{22}|[\w-]+_na_[\w-]+|two|tenant[\w-]+)"', blob):
        if match[1].decode() not in {catalogue.uuid, catalogue.cluster_id}:
            assert unseen.isdisjoint(range(*match.span())), match[1]
    assert len(unseen) < 0.2 * len(blob)


def seen(blobs):
    try:
        found = closure(blobs)
    except (MalformedBlob, SnapshotAbsent, BlobMissing):
        return True
    return bool(found.damage)


SHARD, WHOLE = only(f"snap-{TWO}", A), only("index-", f"{A}/0")
META = only("meta-", A)


def a_file(document, *, virtual):
    return next(file for file in document["files"] if file["name"].startswith("v__") is virtual)


REWRITES = [
    (OWN, lambda d: d["snapshot"].update(name="three"), OWN, "its name is three, and two in the catalogue"),
    (OWN, lambda d: d["snapshot"].update(uuid="x"), OWN, "its UUID is x"),
    (OWN, lambda d: d["snapshot"].update(state="PARTIAL"), OWN, "its state is PARTIAL, and SUCCESS in the catalogue"),
    (OWN, lambda d: d["snapshot"].update(end_time=1), OWN, "its end is 1"),
    (OWN, lambda d: d["snapshot"]["indices"].pop(), OWN, "in the snapshot by it or by the catalogue, not by both"),
    (OWN, lambda d: first(d["snapshot"]["index_details"]).update(shard_count=2), None, "2 by the snapshot itself"),
    (META, lambda d: first(d).update(mapping_version=9), META, "-9-1, and "),
    (META, lambda d: settings(d).update({"index.uuid": "x"}), META, "it is x-_na_"),
    (
        META,
        lambda d: settings(d).update({"index.number_of_shards": "3"}),
        META,
        "3 shards, and 1 by the snapshot itself",
    ),
    (META, lambda d: settings(d).update({"index.number_of_shards": "many"}), META, "how many shards"),
    (META, lambda d: d.update(other=first(d)), META, "it is about "),
    (SHARD, lambda d: d.update(name="one"), SHARD, "it is of snapshot one, expected two"),
    (SHARD, lambda d: d["files"].append(d["files"][0]), SHARD, "it lists a file twice"),
    (SHARD, lambda d: d["files"].pop(), WHOLE, "1 files of snapshot two are others"),
    (SHARD, lambda d: a_file(d, virtual=False).update(length=5), WHOLE, "1 files of snapshot two are others"),
    (SHARD, lambda d: a_file(d, virtual=False).update(checksum="0"), WHOLE, "1 files of snapshot two are others"),
    (WHOLE, lambda d: a_file(d, virtual=False).update(physical_name="_9.cfs"), WHOLE, "are others than the snapshot's"),
    (WHOLE, lambda d: d["snapshots"]["two"]["files"].pop(), WHOLE, "1 files of snapshot two are others"),
    (WHOLE, lambda d: d["snapshots"].pop("two"), WHOLE, "it does not list snapshot two"),
    (CATALOGUE, lambda d: index(d).update(shard_generations=["_new"]), f"{A}/0", "no generation of this shard: _new"),
    (CATALOGUE, lambda d: index(d).update(shard_generations=[None]), f"{A}/0", "no generation of this shard: None"),
    (CATALOGUE, lambda d: index(d).update(shard_generations=[]), CATALOGUE, "it lists 0 shards of index"),
    (CATALOGUE, lambda d: index(d).update(snapshots=[]), CATALOGUE, "is in snapshots none, which are not listed"),
    (CATALOGUE, lambda d: index(d)["snapshots"].append("x"), CATALOGUE, "is in snapshots x, which are not listed"),
    (CATALOGUE, lambda d: d["snapshots"].pop(0), CATALOGUE, "which are not listed"),
    (CATALOGUE, lambda d: d["snapshots"].append(d["snapshots"][0]), CATALOGUE, "two snapshots have one name"),
    (CATALOGUE, lambda d: d["indices"].update(more=index(d)), CATALOGUE, "two snapshots or two indices have one id"),
    (
        CATALOGUE,
        lambda d: d["index_metadata_identifiers"].clear(),
        CATALOGUE,
        "is listed and not used, or used and not",
    ),
    (CATALOGUE, lambda d: two(d)["index_metadata_lookup"].update(x="y"), CATALOGUE, "has metadata of indices x, which"),
    (CATALOGUE, lambda d: two(d).pop("start_time_millis"), OWN, "and None in the catalogue"),
]


def first(document):
    return next(iter(document.values()))


def settings(document):
    return first(document)["settings"]


def index(document):
    return next(index for name, index in document["indices"].items() if name.endswith("-a"))


def two(document):
    return next(each for each in document["snapshots"] if each["name"] == "two")


@pytest.mark.parametrize(("path", "change", "where", "fact"), REWRITES, ids=range(len(REWRITES)))
def test_a_blob_rewritten_under_a_right_checksum_contradicts_another_one(path, change, where, fact):
    found = told(rewritten(SAMPLE, path, change))
    assert [each for each in found if where in {each[0], None} and fact in each[1]], found


def test_the_random_name_of_a_shards_generation_may_begin_as_elasticsearchs_own_words_do():
    named = f"{A}/0/index-_newest"
    blobs = {named if path == WHOLE else path: blob for path, blob in SAMPLE.items()}
    moved = rewritten(Memory(blobs), CATALOGUE, lambda d: index(d).update(shard_generations=["_newest"]))
    assert told(moved) == []
    assert named in {each.path for each in closure(moved).needed}


def test_a_file_within_the_metadata_is_checked_as_those_with_blobs_are():
    blobs = SAMPLE

    def exchange(document):
        file = a_file(document, virtual=True)
        file["meta_hash"] = flipped(file["meta_hash"], 30)

    for path in (SHARD, WHOLE):
        blobs = rewritten(blobs, path, exchange)
    assert any("which lies in it, is not the file of" in fact for path, fact in told(blobs) if path == SHARD)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (SHARD, only(f"snap-{TWO}", B)),
        (SHARD, only(f"snap-{uuid_of(SAMPLE, 'one')}", A)),
        (WHOLE, only("index-", f"{B}/0")),
        (META, only("meta-", B)),
        (OWN, f"snap-{uuid_of(SAMPLE, 'one')}.dat"),
        (OWN, f"meta-{TWO}.dat"),
        (layout.LATEST, OWN),
    ],
)
def test_two_blobs_that_were_exchanged_are_told(one, other):
    exchanged = Memory({**SAMPLE, one: SAMPLE[other], other: SAMPLE[one]})
    assert one in {path for damage in closure(exchanged).damage for path in (damage.path, damage.against)}


def test_all_damage_is_told_at_once():
    blobs = Memory({**SAMPLE, SHARD: b"", OWN: b""})
    del blobs[WHOLE]
    assert {damage.path for damage in closure(blobs).damage} == {SHARD, OWN, WHOLE}


def test_a_repository_that_moved_on_or_was_rolled_back_is_told_by_its_pointer():
    blobs = Memory({**SAMPLE, layout.LATEST: (7).to_bytes(8, "big")})
    assert told(blobs) == [(layout.LATEST, "it says generation 7, expected 1")]


def test_without_a_catalogue_or_the_snapshot_in_it_there_is_no_closure():
    with pytest.raises(SnapshotAbsent, match="index-1 lists 2 snapshots, and none with the UUID gone") as absent:
        closure(snapshot="gone")
    assert absent.value.hint
    with pytest.raises(BlobMissing, match="index-2 is not in memory") as missing:
        closure_of(SAMPLE, 2, TWO)
    assert missing.value.path == "index-2"
    for blob in (b"", b"[]", b"\xff", b"[" * 100_000, SAMPLE[CATALOGUE][:-1]):
        with pytest.raises(MalformedBlob, match="index-1: "):
            closure(Memory({**SAMPLE, CATALOGUE: blob}))


def test_a_place_that_is_away_says_nothing_against_the_blobs():
    class Away(Memory):
        def read(self, path):
            if path == SHARD:
                raise BlobsAway("the bucket does not answer")
            return super().read(path)

    with pytest.raises(BlobsAway):
        closure(Away(SAMPLE))


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "", "..", "a\n", "x" * 101])
def test_no_damaged_name_becomes_a_path(name):
    blobs = rewritten(SAMPLE, CATALOGUE, lambda d: index(d).update(shard_generations=[name]))
    with pytest.raises(MalformedBlob):
        closure(blobs)
    changed = rewritten(SAMPLE, SHARD, lambda d: a_file(d, virtual=False).update(name=f"__{name}"))
    assert SHARD in {path for path, _ in told(changed)}


def test_metadata_without_an_identifier_lie_under_the_snapshot_itself_as_until_7_9():
    blobs = rewritten(SAMPLE, CATALOGUE, lambda d: two(d)["index_metadata_lookup"].pop(A.removeprefix("indices/")))
    assert told(blobs) == [(f"{A}/meta-{TWO}.dat", "it is missing")]
    blobs[f"{A}/meta-{TWO}.dat"] = SAMPLE[META]
    assert told(blobs) == []


def test_a_damaged_size_of_parts_does_not_make_parts_without_end():
    blobs = rewritten(SAMPLE, SHARD, lambda d: a_file(d, virtual=False).update(part_size=1, length=1 << 50))
    assert SHARD in {path for path, _ in told(blobs)}


def test_a_file_has_as_many_parts_as_its_size_asks_for_and_none_where_it_lies_in_the_metadata():
    def parts(name, length, part_size):
        return [*layout.ShardFile(name, "_0.cfs", length, "0", part_size).parts()]

    assert parts("__a", 10, 10) == [("__a", 10)]
    assert parts("__a", 21, 10) == [("__a.part0", 10), ("__a.part1", 10), ("__a.part2", 1)]
    assert parts("__a", 20, 10) == [("__a.part0", 10), ("__a.part1", 10)]
    assert parts("v__a", 21, 10) == []


def test_the_catalogues_in_a_listing_are_those_of_its_root():
    listed = ["index-9", "index-10", "index.latest", f"{A}/0/index-11", "index-x", "index--1", "index-12.part0"]
    assert layout.generations(listed) == [9, 10]


ODD = (None, True, -1, 2**63 - 1, "", "..", "/etc", "x" * 300, [], {}, [None], {"": 0})


def altered(random, node):
    """Something odd, or nothing, in place of something anywhere in *node*."""
    while node:
        key = random.choice(list(node) if isinstance(node, dict) else range(len(node)))
        if isinstance(node[key], dict | list) and random.random() < 0.8:
            node = node[key]
        elif random.random() < 0.2:
            del node[key]
            return
        else:
            node[key] = random.choice(ODD)
            return


def test_whatever_a_blob_says_under_a_right_checksum_is_told_and_nothing_else_is_raised():
    random, read = Random(5), sorted(needed.path for needed in closure().metadata if needed.kind is not Kind.LATEST)
    for _ in range(400):
        path = random.choice(read)
        blobs = rewritten(SAMPLE, path, lambda document: altered(random, document))
        try:
            closure(blobs)
        except (MalformedBlob, SnapshotAbsent):
            assert path == CATALOGUE
