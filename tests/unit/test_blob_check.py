"""Whatever is wrong with a blob is found and named; what is right is never said to be wrong, and never read twice."""

import json
import re
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest
from msgspec import structs

from steward.repository import layout
from steward.repository.closure import closure_of
from steward.repository.comparing import Standing, is_immutable
from steward.repository.due import Known
from steward.repository.errors import BlobRefused, BlobsAway
from steward.repository.manifest import Entry
from steward.snapshots import blob_check, blob_reading
from steward.snapshots.blob_outcome import Outcome, report
from steward.verdicts import Verdict
from tests.unit.blob_ground import NIGHT, SAMPLE, TONIGHT, Book, Cluster, after_a_night, check
from tests.unit.repository.sample import (
    CATALOGUE,
    GENERATION,
    Memory,
    flipped,
    index_id,
    lucene,
    paths,
    rewritten,
    uuid_of,
)

ONE, TWO = (uuid_of(SAMPLE, name) for name in ("one", "two"))
A, B = (f"indices/{index_id(SAMPLE, letter)}" for letter in "ab")
BOOK = after_a_night()
LATER = NIGHT + timedelta(days=29)
TWOS = {path for path in SAMPLE if ONE not in path}
"""What `two` needs: all but what only `one` has."""


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(blob_check, "PIN_PAUSE_SECONDS", 0)


def book():
    return deepcopy(BOOK)


def facts(report):
    return [f"{finding.subject}: {finding.fact}" for finding in report.findings]


def data(of=A, *, known=None):
    """Paths of whole files, or of those that the night before knew, or did not."""
    found = [path for path in paths(SAMPLE, begins="__", holds=of) if ".part" not in path]
    return [path for path in found if known is None or (path in BOOK.blobs) is known]


class Counted(Memory):
    """Notes what is read whole."""

    def __init__(self, blobs=SAMPLE, stop_after=10**9) -> None:
        super().__init__(blobs)
        self.streamed, self.stop_after = [], stop_after

    def chunks(self, path):
        if len(self.streamed) >= self.stop_after:
            raise ConnectionError("killed")
        self.streamed.append(path)
        return super().chunks(path)


def test_a_sound_night_is_verified_and_its_manifest_is_every_blob_that_it_needs():
    record = book()
    report = check(book=record)
    assert (report.verdict, report.findings) == (Verdict.VERIFIED, ())
    assert {entry.path: entry.bytes for entry in record.tonights.entries} == {p: len(SAMPLE[p]) for p in TWOS}
    assert report.manifest.sha256 == record.tonights.digest()
    assert (report.generation, report.manifest.entries, report.entries) == (GENERATION, len(TWOS), len(TWOS))
    assert report.entries_bytes == report.manifest.bytes == sum(len(SAMPLE[path]) for path in TWOS)


@pytest.mark.parametrize("path", sorted(SAMPLE))
def test_a_flipped_bit_in_any_blob_is_told_with_its_path_and_the_snapshots_that_need_it(path):
    report = check({**SAMPLE, path: flipped(SAMPLE[path], len(SAMPLE[path]) // 2)}, book(), blob_check_days=1)
    (told,) = [each for each in facts(report) if path in each]
    assert report.verdict is Verdict.REFUTED
    needing = {"one": path in BOOK.blobs or not is_immutable(path), "two": path in TWOS}
    assert told.endswith(f"; needed by {', '.join(name for name, needs in needing.items() if needs)}")
    # What only the older snapshot needs does not keep tonight's from being copied.
    assert (report.manifest is None) == (path in TWOS)


@pytest.mark.parametrize("path", sorted(SAMPLE))
@pytest.mark.parametrize("left", [None, 0, 1])
def test_a_blob_that_is_deleted_emptied_or_cut_short_is_told_in_the_same_night(path, left):
    blobs = {**SAMPLE, path: SAMPLE[path][:-1] if left else b""}
    if left is None:
        del blobs[path]
    report = check(blobs, book())
    assert report.verdict is Verdict.REFUTED
    assert any(path in each for each in facts(report))


def test_a_finding_on_tonights_own_index_names_that_first_and_one_on_an_older_snapshot_only_the_path():
    new, old = data(known=False)[0], f"{A}/0/snap-{ONE}.dat"
    index = next(name for name in json.loads(SAMPLE[CATALOGUE])["indices"] if name.endswith("-a"))
    (finding,) = check({**SAMPLE, new: b"x"}, book()).findings
    assert finding.subject == f"{index}[{new}]"
    (finding,) = check({path: blob for path, blob in SAMPLE.items() if path != old}, book()).findings
    assert finding.subject == old
    assert finding.fact == f"shard snapshot of {index}: it is missing; needed by one"


def test_the_next_night_reads_what_is_new_and_its_share_of_the_rest():
    blobs, record = Counted(), book()
    check(blobs, record)
    new = {path for path in TWOS - BOOK.blobs.keys() if path.rpartition("/")[2].startswith("__")}
    again = set(blobs.streamed) - new
    assert new <= set(blobs.streamed)
    # A thirtieth, and no more blobs than it takes to reach it.
    assert len(again) <= 2


def test_every_blob_is_read_again_in_time_that_of_older_snapshots_too():
    record = book()
    check(Memory(SAMPLE), record)
    record.verify()
    was, read = set(BOOK.blobs), set()
    for days in range(1, 31):
        blobs = Counted()
        report = check(blobs, record, night=NIGHT + timedelta(days=days))
        read |= set(blobs.streamed)
        assert report.oldest_read_nights <= 30
        record.night += timedelta(days=1)
    assert {path for path in was if path.rpartition("/")[2].startswith("__") or ONE in path} <= read


def test_a_consistent_rewrite_is_told_when_its_blob_is_read_again():
    path = data(known=True)[0]
    forged = {**SAMPLE, path: lucene(bytes(len(SAMPLE[path]) - 16))}
    (told,) = facts(check(forged, book(), night=LATER))
    assert re.search(r"with SHA-256 [0-9a-f]{16}…; on 2026-05-01 it was [\d,]+ with", told)


def test_a_consistent_rewrite_of_metadata_is_told_the_same_night():
    path = next(path for path in paths(SAMPLE, begins="meta-", holds=A))

    def other(document):
        (index,) = document.values()
        index["settings"]["index.refresh_interval"] = "99s"

    told = facts(check(rewritten(SAMPLE, path, other), book()))
    assert len(told) == 1
    assert "with SHA-256" in told[0]


def test_two_blobs_that_change_places_are_told():
    one, other = (path for path in data(known=False)[:2])
    told = facts(check({**SAMPLE, one: SAMPLE[other], other: SAMPLE[one]}, book()))
    assert all(any(path in each for each in told) for path in (one, other))


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


def test_a_repository_that_was_rolled_back_is_told():
    told = facts(check(book=book(), cluster=Cluster(generation=9, pending=9)))
    assert any("index-9: catalogue: it is missing" in each for each in told)
    assert any(f"newest catalogue is {CATALOGUE}; the cluster is at generation 9" in each for each in told)


def test_a_repository_that_was_rolled_back_under_a_cluster_that_forgot_it_is_told_by_the_last_manifest():
    record = after_a_night()
    check(Memory(SAMPLE), record)
    record.verify(generation=GENERATION)
    (told,) = facts(check(book=record, night=NIGHT + timedelta(days=1)))
    assert f"generation {GENERATION}; two was proved at {GENERATION} already" in told


def test_another_repository_in_its_place_is_told():
    def other(document):
        document["uuid"] = "another-repository-uuid"

    (told,) = facts(check(rewritten(SAMPLE, CATALOGUE, other)))
    assert "it is of repository another-repository-uuid; the cluster's is" in told


def test_a_repository_made_anew_under_the_name_is_told_until_its_lost_snapshots_were():
    record = book()
    manifest = record.kept[0][0]
    record.kept = [(manifest.__class__(**{**vars(manifest), "repository_uuid": "before"}), record.kept[0][1])]
    told = facts(check(book=record))
    assert "one was proved in before" in told[0]
    record.kept = [(manifest.__class__(**{**vars(manifest), "repository_uuid": "before", "snapshot": "lost"}), None)]
    record.nights = {}
    assert check(book=record).verdict is Verdict.VERIFIED


def test_another_cluster_that_wrote_it_is_told():
    def other(document):
        document["cluster_id"] = "another-cluster"

    assert "cluster another-cluster wrote it last" in facts(check(rewritten(SAMPLE, CATALOGUE, other)))[0]


def test_a_newer_catalogue_than_the_clusters_is_told():
    told = facts(check({**SAMPLE, "index-7": SAMPLE[CATALOGUE]}))
    assert "the newest catalogue is index-7; the cluster is at generation 1" in told[0]


def test_a_repository_that_the_cluster_marked_corrupted_is_refuted():
    (told,) = facts(check(cluster=Cluster(generation=-3, pending=-3)))
    assert "another hand changed the repository" in told


def test_a_wrong_index_latest_is_told():
    (told,) = facts(check({**SAMPLE, layout.LATEST: (5).to_bytes(8, "big")}))
    assert told.startswith("index.latest: latest: it says generation 5, expected 1; needed by one, two")


def test_what_the_catalogue_says_of_any_snapshot_and_the_cluster_otherwise_is_told():
    def later(document):
        next(each for each in document["snapshots"] if each["name"] == "one")["start_time_millis"] += 1

    (told,) = facts(check(rewritten(SAMPLE, CATALOGUE, later)))
    assert f"of snapshot {ONE} it says otherwise than the cluster: start" in told
    (told,) = facts(check(cluster=Cluster(without=("one",))))
    assert told.startswith(f"snap-{ONE}.dat: snapshot: the cluster cannot read snapshot one, which {CATALOGUE} lists")


def test_a_verified_snapshot_that_is_gone_is_told_and_put_on_record_as_told():
    record = book()
    record.nights |= {"gone": NIGHT - timedelta(days=30), "long-gone": NIGHT - timedelta(days=31)}
    report = check(book=record)
    assert facts(report) == [
        "gone: VERIFIED on 2026-04-02, and the repository lists it no more; no expiry of ours took it"
    ]
    assert record.gone == ["gone"]
    # What is there is right, and can be copied.
    assert report.manifest


def test_an_absent_snapshot_is_told():
    (told, *_) = facts(check(snapshot="three", snapshot_uuid="no-such-uuid"))
    assert "none with the UUID no-such-uuid" in told


@pytest.mark.parametrize("missing", [f"{A}/0/snap-{TWO}.dat", CATALOGUE])
def test_a_blob_that_vanishes_while_the_repository_moves_is_looked_for_anew(missing):
    class Restored(Memory):
        """It is there once the first look is over."""

        looks = 0

        def read(self, path):
            if path == missing and self.looks < 1:
                self.looks += 1
                return super().read("nothing")
            return super().read(path)

    moves = [GENERATION, GENERATION + 1]
    report = check(Restored(SAMPLE), cluster=Cluster(moves=moves))
    assert (report.verdict, facts(report)) == (Verdict.VERIFIED, [])


def test_a_repository_that_never_stands_still_is_unknown_and_not_refuted():
    blobs = {path: blob for path, blob in SAMPLE.items() if path != f"{A}/0/snap-{TWO}.dat"}
    moves = [1, 2, 1, 2, 1, 2, 1]
    report = check(blobs, cluster=Cluster(moves=moves))
    assert (report.verdict, report.manifest) == (Verdict.UNKNOWN, None)
    assert "it moved while it was read, 3 times" in facts(report)[0]


def test_a_generation_that_is_being_written_is_waited_for():
    assert check(cluster=Cluster(pending=GENERATION + 1)).verdict is Verdict.UNKNOWN


def test_a_missing_blob_of_a_repository_that_stands_still_is_lost():
    blobs = {path: blob for path, blob in SAMPLE.items() if path != f"{A}/0/snap-{TWO}.dat"}
    assert check(blobs).verdict is Verdict.REFUTED


def test_an_empty_folder_is_unknown_for_it_may_not_be_mounted():
    report = check({})
    assert report.verdict is Verdict.UNKNOWN
    assert "is the repository mounted" in facts(report)[0]


class Failing(Memory):
    """Blobs that are not handed out."""

    def __init__(self, bad, error) -> None:
        super().__init__(SAMPLE)
        self.bad, self.error = bad, error

    def chunks(self, path):
        if path in self.bad:
            raise self.error(path)
        return super().chunks(path)


@pytest.mark.parametrize(
    "error",
    [lambda path: BlobRefused(path, "it is a link", hint=""), lambda path: BlobsAway(f"{path}: input error", hint="")],
)
def test_a_blob_that_cannot_be_read_is_unknown_and_all_others_are_read(error):
    path = data(known=False)[0]
    record = book()
    report = check(Failing([path], error), record)
    (finding,) = report.findings
    assert (finding.verdict, report.manifest) == (Verdict.UNKNOWN, None)
    assert path in finding.subject
    assert {each for each in TWOS - {path} if is_immutable(each)} <= record.blobs.keys() | record.notes.keys()


def test_a_place_that_does_not_answer_for_many_is_away_which_a_later_try_may_cure(monkeypatch):
    monkeypatch.setattr(blob_reading, "MOST_AWAY", 3)
    away = Failing(paths(SAMPLE, begins="__"), lambda path: BlobsAway(f"{path}: away", hint=""))
    with pytest.raises(BlobsAway, match="away"):
        check(away, Book())


def test_a_killed_step_goes_on_where_it_was():
    record, killed, again = Book(), Counted(stop_after=9), Counted()
    with pytest.raises(ConnectionError):
        check(killed, record)
    noted = set(record.notes)
    report = check(again, record)
    assert report.verdict is Verdict.VERIFIED
    done = {path for path in noted if path.rpartition("/")[2].startswith("__")}
    assert done
    assert not done & set(again.streamed)


def test_what_changed_since_an_interrupted_try_read_it_is_told():
    record = Book()
    with pytest.raises(ConnectionError):
        check(Counted(stop_after=0), record)
    path = next(path for path in paths(SAMPLE, begins="meta-", holds=A))

    def other(document):
        (index,) = document.values()
        index["settings"]["index.refresh_interval"] = "99s"

    assert "when it was read last it was" in facts(check(rewritten(SAMPLE, path, other), record))[0]


def test_a_blob_between_two_nights_that_no_manifest_lists_may_be_gone():
    record = book()
    stray = Known(f"{A}/0/__stray", 5, "0" * 64, NIGHT, record.kept[0][0].night, None)
    record.blobs[stray.path] = stray
    assert check(book=record).verdict is Verdict.VERIFIED


def test_a_blob_that_only_deleted_snapshots_needed_may_be_gone():
    record, deleted = book(), f"{A}/0/__of-deleted"
    kept, manifest = record.kept[0]
    record.blobs[deleted] = Known(deleted, 5, "0" * 64, NIGHT, kept.night, None)
    entries = (*manifest.entries, Entry(path=deleted, bytes=5, sha256="0" * 64))
    gone = structs.replace(manifest, entries=entries, snapshot="gone", snapshot_uuid="gone")
    record.kept.insert(0, (replace(kept, snapshot="gone", snapshot_uuid="gone"), gone))
    assert check(book=record).verdict is Verdict.VERIFIED


def test_points_in_time_are_touched_all_the_while():
    touched = []
    check(touch=lambda: touched.append(1))
    assert len(touched) > len(paths(SAMPLE, begins="__", holds=A)) / 3


def test_of_very_many_findings_some_are_told_and_all_are_counted():
    blobs = dict(SAMPLE)
    for path in paths(SAMPLE, begins="__"):
        del blobs[path]
    report = check(blobs, book())
    assert report.findings_total == len(report.findings) == len(paths(SAMPLE, begins="__"))


def test_what_was_not_read_whole_is_never_without_a_finding():
    outcome = Outcome(Standing("", "", GENERATION, GENERATION), closure=closure_of(SAMPLE, GENERATION, TWO))
    told = report(outcome, Book(), TONIGHT, 1.0, 0)
    assert (told.verdict, told.manifest) == (Verdict.UNKNOWN, None)
    assert facts(told) == ["nightly: not every blob of tonight's snapshot was read"]


def test_the_report_is_small_and_speaks_json():
    told = check(book=book())
    assert len(told.line()) <= 100
    figures = json.loads(json.dumps(told.figures()))
    assert figures["manifest"]["sha256"] == told.manifest.sha256
    assert figures["new"] == told.new
    assert type(told).model_validate_json(told.model_dump_json()) == told
    assert (told.stage.name, told.stage.bytes) == ("blobs", told.bytes)
