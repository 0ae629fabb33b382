"""What earlier nights put on record is neither gone nor otherwise tonight, or it is told; what nobody needs may be gone."""

import re
from dataclasses import replace
from datetime import timedelta

from msgspec import structs

from steward.repository.due import Known
from steward.repository.manifest import Entry
from steward.verdicts import Verdict
from tests.unit.blob_check_ground import A, book, data, facts
from tests.unit.blob_ground import NIGHT, SAMPLE, after_a_night, check
from tests.unit.repository.sample import GENERATION, Memory, lucene, paths, rewritten

LATER = NIGHT + timedelta(days=29)


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


def test_a_repository_that_was_rolled_back_under_a_cluster_that_forgot_it_is_told_by_the_last_manifest():
    record = after_a_night()
    check(Memory(SAMPLE), record)
    record.verify(generation=GENERATION)
    (told,) = facts(check(book=record, night=NIGHT + timedelta(days=1)))
    assert f"generation {GENERATION}; two was proved at {GENERATION} already" in told


def test_a_repository_made_anew_under_the_name_is_told_until_its_lost_snapshots_were():
    record = book()
    manifest = record.kept[0][0]
    record.kept = [(manifest.__class__(**{**vars(manifest), "repository_uuid": "before"}), record.kept[0][1])]
    told = facts(check(book=record))
    assert "one was proved in before" in told[0]
    record.kept = [(manifest.__class__(**{**vars(manifest), "repository_uuid": "before", "snapshot": "lost"}), None)]
    record.nights = {}
    assert check(book=record).verdict is Verdict.VERIFIED


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
