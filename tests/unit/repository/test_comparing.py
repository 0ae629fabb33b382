"""What a blob is by its name, what needs it, and what the cluster says otherwise of a catalogue."""

import re
from datetime import date

import pytest

from steward.repository import layout
from steward.repository.account import Kind
from steward.repository.closure import closure_of
from steward.repository.comparing import (
    KeptManifest,
    ToldSnapshot,
    compare_snapshots,
    find_elders,
    in_words,
    is_immutable,
    kind_of,
    snapshots_of,
)
from steward.repository.due import Known
from tests.unit.repository.sample import CATALOGUE, GENERATION, paths, sample, uuid_of

SAMPLE = sample()
LISTED = layout.catalogue(CATALOGUE, SAMPLE[CATALOGUE])
ONE, TWO = (uuid_of(SAMPLE, name) for name in ("one", "two"))


def told(**changes):
    return [
        ToldSnapshot(
            **{
                "name": each.name,
                "uuid": each.uuid,
                "state": "SUCCESS",
                "start_time_millis": each.start_time_millis,
                "end_time_millis": each.end_time_millis,
                **(changes if each.name == "two" else {}),
            }
        )
        for each in LISTED.snapshots
    ]


def test_every_blob_is_known_by_its_name_as_what_it_is_read_as():
    for needed in closure_of(SAMPLE, GENERATION, TWO).needed:
        assert kind_of(needed.path) is needed.kind


@pytest.mark.parametrize("path", ["nightly", "indices/a", "indices/a/0", "x", "index", "__x", "indices/a/0/x-y"])
def test_what_is_no_blob_is_none(path):
    assert kind_of(path) is None


def test_what_every_snapshot_replaces_is_not_compared_with_older_nights():
    replaced = {kind_of(path) for path in SAMPLE if not is_immutable(path)}
    assert replaced == {Kind.LATEST, Kind.CATALOGUE, Kind.SHARD_GENERATION}


def test_what_is_replaced_is_needed_by_all_that_have_it_and_of_others_manifests_tell():
    assert snapshots_of(CATALOGUE, LISTED) == ["one", "two"]
    assert snapshots_of(paths(SAMPLE, begins="index-", holds="indices/")[0], LISTED) == ["one", "two"]
    assert snapshots_of(paths(SAMPLE, begins="__")[0], LISTED) is None


def test_a_catalogue_that_says_what_the_cluster_says_differs_in_nothing():
    assert list(compare_snapshots(CATALOGUE, LISTED, told())) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "to"}, "name two, not to"),
        ({"state": "PARTIAL"}, "state SUCCESS, not PARTIAL"),
        ({"start_time_millis": 5}, "start [0-9]+, not 5"),
        ({"end_time_millis": 5}, "end [0-9]+, not 5"),
    ],
)
def test_whatever_the_cluster_says_otherwise_of_a_snapshot_is_told(change, said):
    (fault,) = compare_snapshots(CATALOGUE, LISTED, told(**change))
    assert fault.path == CATALOGUE
    assert re.search(said, fault.fact)


def test_a_snapshot_that_only_one_of_them_has_is_told():
    faults = list(compare_snapshots(CATALOGUE, LISTED, told(uuid="another")))
    assert [fault.path for fault in faults] == [f"snap-{TWO}.dat", CATALOGUE]
    assert faults[1].fact == "it does not list snapshot two (another), which the cluster has"


@pytest.mark.parametrize(
    ("first", "last", "needed"),
    [(1, 1, False), (1, 3, True), (2, 2, True), (3, 3, False), (3, None, True), (5, None, False)],
)
def test_what_older_snapshots_had_is_looked_at_as_long_as_one_of_them_is_there(first, last, needed):
    manifests = [
        KeptManifest("one", ONE, date(2026, 5, 2), "", 0),
        KeptManifest("gone", "gone", date(2026, 5, 3), "", 1),
        KeptManifest("two", TWO, date(2026, 5, 4), "", 2),
    ]
    blob = Known("a", 1, "", date(2026, 5, 1), date(2026, 5, first), last and date(2026, 5, last))
    assert list(find_elders([blob], set(), LISTED, manifests)) == [blob] * needed
    assert list(find_elders([blob], {"a"}, LISTED, manifests)) == []


def test_of_many_snapshots_the_newest_are_named():
    assert in_words(["a"]) == "a"
    assert in_words(list("abcdefg")) == "c, d, e, f, g and 2 older ones"
