"""What is on record of blobs: trusted once its night is VERIFIED, and nobody's but the night's own until then."""

from datetime import UTC, datetime, timedelta

import pytest

from replica import inventory
from steward.clients.postgres import connect
from steward.clients.snapshot_blobs import (
    BlobRecord,
    ManifestAbsent,
    copies_of,
    forget_copies,
    keep_copies,
    manifest_of,
)
from steward.errors import Unavailable
from steward.repository.copying import Copied
from steward.repository.due import Known
from steward.repository.hashing import Reading
from steward.repository.manifest import Entry, Manifest
from steward.settings import load
from steward.verdicts import Verdict
from tests.integration.blob_nights import CLUSTER, FIRST, nights_of

pytestmark = pytest.mark.without_search

UUID = "the-repository"
A, B, C, D = (f"{letter}" * 64 for letter in "abcd")


def manifest(snapshot, generation, **blobs):
    entries = [Entry(path=f"index-{generation}", bytes=9, sha256=D), Entry(path="index.latest", bytes=8, sha256=D)]
    entries += [Entry(path=path, bytes=5, sha256=digest) for path, digest in blobs.items()]
    return Manifest(UUID, generation, snapshot, f"uuid-of-{snapshot}", tuple(entries))


@pytest.fixture(scope="module")
def fresh(replica):
    with nights_of(load(inventory.settings_file(replica)), "nightly") as made:
        yield made


@pytest.fixture
def nights(fresh):
    with connect(fresh.settings) as db:
        db.execute(
            "TRUNCATE steward.snapshot_blobs, steward.snapshot_manifests, steward.snapshots_gone, "
            "steward.snapshot_copies, steward.snapshot_nights"
        )
    return fresh


def verified(nights, number, snapshot, expired=(), **blobs):
    nights.record(number).keep(manifest(snapshot, number, **blobs), 100)
    nights.end(number, snapshot, expired=expired)


def known(nights, number):
    record = nights.record(number)
    record.take_up()
    return record.known(UUID)


def night(number):
    return FIRST + timedelta(days=number)


def test_a_manifest_is_trusted_once_its_night_is_verified_and_not_before(nights):
    nights.record(0).keep(manifest("one", 0, a=A), 100)
    assert known(nights, 0) == {}
    assert nights.record(0).manifests() == []
    nights.end(0, "one")
    assert known(nights, 1) == {"a": Known("a", 5, A, night(0), night(0))}
    assert [each.snapshot for each in nights.record(1).manifests()] == ["one"]


@pytest.mark.parametrize("verdict", [Verdict.REFUTED, Verdict.UNKNOWN])
def test_a_night_that_is_not_verified_leaves_nothing_that_is_compared_with(nights, verdict):
    nights.record(0).note(UUID, [Reading("a", 5, A)], [])
    nights.record(0).keep(manifest("one", 0, a=A), 100)
    nights.end(0, "one", verdict)
    assert known(nights, 1) == {}
    with connect(nights.settings) as db, pytest.raises(ManifestAbsent):
        manifest_of(db, CLUSTER, "one")


def test_what_nights_had_and_have_no_more_and_have_again_is_on_record(nights):
    verified(nights, 0, "one", a=A, b=B)
    known(nights, 1)
    verified(nights, 1, "two", b=B, c=C)
    assert known(nights, 2) == {
        "a": Known("a", 5, A, night(0), night(0), night(0)),
        "b": Known("b", 5, B, night(0), night(0)),
        "c": Known("c", 5, C, night(1), night(1)),
    }
    verified(nights, 3, "three", a=A)
    found = known(nights, 4)
    assert found["a"].last_night is None
    assert {found[path].last_night for path in "bc"} == {night(1)}


def test_several_nights_are_taken_up_in_their_order_and_once(nights):
    verified(nights, 0, "one", a=A)
    verified(nights, 1, "two", b=B)
    first = known(nights, 2)
    assert first["a"].last_night == night(0)
    assert known(nights, 2) == first


def test_what_was_read_and_confirmed_is_as_young_as_that_whatever_the_night_comes_to(nights):
    verified(nights, 0, "one", a=A, b=B)
    known(nights, 1)
    nights.record(9).note(UUID, [], ["a"])
    nights.end(9, "two", Verdict.REFUTED)
    found = known(nights, 10)
    assert (found["a"].read_night, found["b"].read_night) == (night(9), night(0))


def test_what_an_interrupted_night_read_counts_for_it_and_for_the_nights_after_it(nights):
    nights.record(0).note(UUID, [Reading("a", 5, A), Reading("b", 6, B)], [])
    nights.record(0).note(UUID, [Reading("b", 6, B), Reading("c", 7, C)], [])
    read = {"a": Reading("a", 5, A), "b": Reading("b", 6, B), "c": Reading("c", 7, C)}
    assert nights.record(0).noted(UUID) == read
    nights.end(0, "one", Verdict.UNKNOWN)
    assert nights.record(7).noted(UUID) == read
    assert nights.record(8).noted(UUID) == {}


def test_what_a_refuted_night_read_counts_for_no_other_try_at_it_nor_for_any_other(nights):
    nights.record(0).note(UUID, [Reading("a", 5, A)], [])
    nights.end(0, "one", Verdict.REFUTED)
    again = nights.record(0, by="the next round")
    assert again.noted(UUID) == {}
    again.note(UUID, [Reading("b", 5, B)], [])
    assert again.noted(UUID) == {"b": Reading("b", 5, B)}
    assert nights.record(1).noted(UUID) == {}


def test_what_was_read_some_nights_before_the_verdict_is_as_old_as_that(nights):
    nights.record(0).note(UUID, [Reading("a", 5, A)], [])
    verified(nights, 3, "one", a=A, b=B)
    found = known(nights, 4)
    assert (found["a"].first_night, found["a"].read_night) == (night(3), night(0))
    assert found["b"].read_night == night(3)


def test_what_a_verified_night_read_itself_is_known_from_then_on(nights):
    nights.record(0).note(UUID, [Reading("a", 5, A)], [])
    verified(nights, 0, "one", a=A)
    assert known(nights, 1)["a"] == Known("a", 5, A, night(0), night(0))


def test_another_reading_of_what_is_known_is_never_put_in_its_place(nights):
    verified(nights, 0, "one", a=A)
    known(nights, 1)
    nights.record(1).note(UUID, [Reading("a", 5, B)], [])
    assert known(nights, 1)["a"].sha256 == A


def test_what_only_expired_snapshots_had_is_forgotten(nights):
    verified(nights, 0, "one", a=A, b=B)
    known(nights, 1)
    verified(nights, 1, "two", b=B)
    known(nights, 2)
    verified(nights, 2, "three", b=B, expired=["one"])
    assert known(nights, 3).keys() == {"b"}
    assert [each.snapshot for each in nights.record(3).manifests()] == ["two", "three"]
    assert nights.record(3).verified() == {"two": night(1), "three": night(2)}


def test_another_repository_of_the_cluster_is_another_record(nights):
    verified(nights, 0, "one", a=A)
    weekly = BlobRecord(**{**vars(nights.record(1)), "repository": "weekly"})
    weekly.take_up()
    assert (weekly.manifests(), weekly.verified()) == ([], {})
    assert known(nights, 1).keys() == {"a"}


def test_what_is_told_to_be_gone_is_told_again_by_the_night_that_told_it_and_by_no_other(nights):
    verified(nights, 0, "one", a=A)
    nights.record(1).tell_gone(["one"])
    assert nights.record(1).verified() == {"one": night(0)}
    nights.record(2).tell_gone(["one"])
    assert nights.record(2).verified() == {}


def test_which_snapshots_need_a_blob_is_told_by_their_manifests_oldest_first(nights):
    verified(nights, 0, "one", a=A, b=B)
    verified(nights, 1, "two", b=B)
    nights.record(2).keep(manifest("three", 2, b=B), 100)
    assert nights.record(2).needing({"a", "b", "index-1", "z"}, {"one", "two", "three"}) == {
        "a": ["one"],
        "b": ["one", "two"],
        "index-1": ["two"],
    }
    assert nights.record(2).needed({"a", "b", "z"}, {"one", "two"}) == {"a", "b"}
    assert nights.record(2).needed({"a", "b"}, {"two"}) == {"b"}


def test_a_manifest_is_kept_whole_and_a_second_try_puts_its_own_in_its_place(nights):
    nights.record(0).keep(manifest("one", 0, a=A), 100)
    again = manifest("one", 0, a=A, b=B)
    nights.record(0).keep(again, 100)
    with connect(nights.settings) as db:
        kept = manifest_of(db, CLUSTER, "one")
    assert kept.digest() == again.digest()
    nights.end(0, "one")
    known(nights, 1)
    nights.record(0).keep(manifest("one", 0), 100)
    with connect(nights.settings) as db:
        assert manifest_of(db, CLUSTER, "one").digest() == again.digest()


def test_nothing_is_noted_or_kept_by_whom_the_fence_refuses(nights):
    def refuse(_connection):
        raise Unavailable("superseded")

    stale = BlobRecord(**{**vars(nights.record(0)), "fence": refuse})
    for act in (
        lambda: stale.note(UUID, [Reading("a", 5, A)], []),
        lambda: stale.noted(UUID),
        lambda: stale.keep(manifest("one", 0), 100),
        lambda: stale.tell_gone(["one"]),
    ):
        with pytest.raises(Unavailable, match="superseded"):
            act()
    assert nights.record(0).noted(UUID) == {}
    with (
        connect(nights.settings) as db,
        pytest.raises(ManifestAbsent, match="no manifest of one of cluster production"),
    ):
        manifest_of(db, CLUSTER, "one")


def test_copies_are_on_record_by_path_are_renewed_and_forgotten(nights):
    until = datetime(2026, 6, 1, tzinfo=UTC)
    with connect(nights.settings) as db:
        keep_copies(db, UUID, {"a": Copied(5, A, "v1", until), "b": Copied(6, B, "v2", until)})
        keep_copies(db, UUID, {"a": Copied(5, A, "v1", until + timedelta(days=7))})
        keep_copies(db, "another", {"a": Copied(5, C, "v9", until)})
        assert copies_of(db, UUID) == {
            "a": Copied(5, A, "v1", until + timedelta(days=7)),
            "b": Copied(6, B, "v2", until),
        }
        forget_copies(db, UUID, ["a"])
        assert copies_of(db, UUID).keys() == {"b"}
        assert copies_of(db, "another").keys() == {"a"}
