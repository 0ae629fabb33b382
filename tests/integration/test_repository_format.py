"""What is read of a repository is what Elasticsearch wrote: its own writer's documents, and every blob that it left."""

import subprocess
import sys
from itertools import chain
from typing import NamedTuple

import pytest

from replica.elasticsearch import home
from steward.clients.blobs_fs import FolderBlobs
from steward.repository import layout
from steward.repository.blob_format import RunningChecksum
from steward.repository.closure import closure_of
from steward.repository.comparing import compare_generations
from steward.repository.errors import BlobMissing
from steward.repository.smile import decode
from tests.integration import jackson
from tests.integration.repository_ground import repository

SEEDS = 250


class State(NamedTuple):
    """The repository after one change to it."""

    generation: int
    on_disk: dict
    closures: dict


def looked_at(ground):
    blobs, generation = FolderBlobs(ground.folder), ground.generation()
    catalogue = layout.catalogue("", blobs.read(layout.catalogue_path(generation)))
    closures = {each.name: closure_of(blobs, generation, each.uuid) for each in catalogue.snapshots}
    return State(generation, ground.on_disk(), closures)


@pytest.fixture(scope="module")
def ground(replica):
    with repository(replica) as made:
        yield made


@pytest.fixture(scope="module")
def states(ground):
    """One snapshot; one after changes; one of another mapping, undeflated and in whole files; a clone; one of indices
    that were made anew under their names, with fewer shards and with more; fewer.
    """
    found = {}
    ground.write("a", *range(20))
    ground.write("b", 1)
    ground.merge("b")
    ground.write("b", 2)
    ground.merge("b")
    ground.snapshot("one")
    found["one"] = looked_at(ground)
    ground.write("a", 1, 2, text="changed")
    ground.snapshot("two")
    found["two"] = looked_at(ground)
    ground.register(compress=False)
    ground.ask("PUT", f"/{ground.index('a')}/_mapping", {"properties": {"number": {"type": "long"}}})
    ground.write("b", 3)
    ground.snapshot("three")
    ground.ask("PUT", f"/_snapshot/{ground.name}/two/_clone/four", {"indices": "*"})
    found["three and a clone"] = looked_at(ground)
    ground.make("a", shards=1)
    ground.make("b", shards=3)
    ground.snapshot("five")
    found["indices made anew"] = looked_at(ground)
    ground.delete("two")
    found["two deleted"] = looked_at(ground)
    ground.delete("one,three,five")
    found["only the clone"] = looked_at(ground)
    return found


def test_documents_are_read_as_jackson_wrote_them_in_each_of_its_ways(replica):
    (jar,) = (home.path(replica.cache) / "lib").glob("elasticsearch-x-content-*.jar")
    command = [sys.executable, "-m", "tests.integration.jackson", str(jar), str(SEEDS)]
    written = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(written) > SEEDS * len(jackson.WAYS) * 0.9
    for line in written:
        seed, _, blob = line.partition(" ")
        # By their text: NaN is not NaN, and 1 is 1.0.
        assert repr(decode(bytes.fromhex(blob))) == repr(jackson.document(int(seed))), seed


def test_the_closure_of_a_single_snapshot_is_every_blob_that_elasticsearch_wrote_with_its_size(states):
    state = states["one"]
    (closure,) = state.closures.values()
    assert {needed.path: needed.bytes for needed in closure.needed} == state.on_disk


def test_the_closures_of_all_snapshots_are_what_elasticsearch_keeps_also_after_it_deleted_some(states):
    for state in states.values():
        needed = chain(*(closure.needed for closure in state.closures.values()))
        assert {each.path: each.bytes for each in needed} == state.on_disk
    assert [len(state.closures) for state in states.values()] == [1, 2, 4, 5, 4, 1]


def test_nothing_is_wrong_with_what_elasticsearch_wrote(states):
    assert [closure.damage for state in states.values() for closure in state.closures.values()] == [()] * 17


def test_every_shards_generation_lists_every_snapshot_that_has_the_shard(states):
    for state in states.values():
        for closure in state.closures.values():
            assert list(compare_generations(closure.generations, closure.catalogue, state.on_disk)) == []


def test_every_file_of_lucene_has_the_checksum_that_is_told_in_parts_or_whole(ground, states):
    blobs = FolderBlobs(ground.folder)
    files = states["only the clone"].closures["four"].files
    assert {len(file.parts) > 1 for file in files} == {True, False}
    assert {"cfs", "fdt", "dvd"} <= {file.physical_name.rpartition(".")[2] for file in files}
    for file in files:
        checksum = RunningChecksum()
        for piece in chain(*(blobs.chunks(part.path) for part in file.parts)):
            checksum.update(piece)
        assert (checksum.sound, checksum.seen, checksum.bytes) == (True, file.crc32, file.bytes)


def test_a_generation_that_elasticsearch_has_replaced_is_missing(ground, states):
    two = states["two"]
    with pytest.raises(BlobMissing, match=f"index-{two.generation} is not in"):
        closure_of(FolderBlobs(ground.folder), two.generation, two.closures["two"].snapshot.uuid)


def test_the_catalogue_says_what_the_cluster_says(ground, states):
    closure = states["only the clone"].closures["four"]
    state = ground.ask("GET", "/_cluster/state/metadata?filter_path=metadata.repositories,metadata.cluster_uuid")
    assert closure.catalogue.uuid == state["metadata"]["repositories"][ground.name]["uuid"]
    assert closure.catalogue.cluster_id == state["metadata"]["cluster_uuid"]
    assert layout.generation(FolderBlobs(ground.folder).read(layout.LATEST)) == closure.generation
    assert layout.generations(FolderBlobs(ground.folder).sizes("index-")) == [closure.generation]
