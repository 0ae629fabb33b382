"""Whatever is wrong with a blob is found and named with all that need it; what is right is never said to be wrong."""

import json

import pytest

from steward.repository.closure import closure_of
from steward.repository.comparing import Standing, is_immutable
from steward.snapshots.blob_outcome import Outcome, report
from steward.verdicts import Verdict
from tests.unit.blob_check_ground import BOOK, ONE, TWO, TWOS, A, book, data, facts
from tests.unit.blob_ground import SAMPLE, TONIGHT, Book, check
from tests.unit.repository.sample import CATALOGUE, GENERATION, flipped, paths


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


def test_two_blobs_that_change_places_are_told():
    one, other = (path for path in data(known=False)[:2])
    told = facts(check({**SAMPLE, one: SAMPLE[other], other: SAMPLE[one]}, book()))
    assert all(any(path in each for each in told) for path in (one, other))


def test_an_empty_folder_is_unknown_for_it_may_not_be_mounted():
    report = check({})
    assert report.verdict is Verdict.UNKNOWN
    assert "is the repository mounted" in facts(report)[0]


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
