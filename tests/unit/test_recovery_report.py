from datetime import timedelta

import pytest

from steward.snapshots.findings import refuted
from steward.snapshots.recovery import RecoveredIndices
from steward.snapshots.recovery_page import render_recovery
from steward.snapshots.recovery_report import (
    FetchedBlobs,
    Opened,
    RecoveryFacts,
    RecoveryNotVerified,
    assess,
    compared_indices,
    make_report,
    may_open,
)
from steward.snapshots.recovery_request import Names
from steward.snapshots.restoring import FailedShard
from steward.verdicts import Verdict
from tests.unit.recovery_samples import AT, DIGESTS, compared, document, facts, index, plan, request

ACME, BOLT = "tenant-acme-000001", "tenant-bolt-000001"


def report(made, told):
    more = {"period": "2026-11-27", "attempt": 1, "ended_at": AT + timedelta(minutes=3), "code": {}, "host": "h"}
    return make_report(made, "the cluster is gone", told, **more)


def restored(made, *failed, without=()):
    uuids = {each.target: "uuid" for each in made.indices if each.target not in without}
    return RecoveredIndices(uuids=uuids, failed=list(failed), seconds=1, bytes=1)


def test_it_is_verified_when_every_index_holds_what_its_night_found():
    made = plan()
    found = report(made, facts(made))
    assert (found.verdict, found.findings, found.documents) == (Verdict.VERIFIED, [], 30)
    assert found.opened == [ACME, BOLT]


def test_what_holds_something_else_is_refuted_and_stays_closed():
    made = plan()
    other = "steward-content-v1:9:" + "c" * 64
    told = facts(made, compared=compared(made, {ACME: other, BOLT: DIGESTS["bolt"]}))
    verdict, _, [finding] = assess(made, told)
    assert (verdict, finding.subject) == (Verdict.REFUTED, ACME)
    assert "holds 9 documents of digest cccccccccccccccc…, its night found 10 documents" in finding.fact
    assert may_open(made, told) == [BOLT]


def test_what_its_night_did_not_read_is_opened_and_unknown():
    made = plan(held=document(indices=[index("acme"), index("new", documents=None)]))
    told = facts(made, compared=compared(made, {ACME: DIGESTS["acme"], "tenant-new-000001": "x:3:ff"}))
    verdict, indices, [finding] = assess(made, told)
    assert (verdict, [each.verdict for each in indices]) == (Verdict.UNKNOWN, [Verdict.VERIFIED, Verdict.UNKNOWN])
    assert "its night did not read it in full" in finding.fact
    assert may_open(made, told) == [ACME, "tenant-new-000001"]


@pytest.mark.parametrize(("damaged", "verdict"), [(True, Verdict.REFUTED), (False, Verdict.UNKNOWN)])
def test_a_shard_that_failed_is_named_neither_compared_nor_opened(damaged, verdict):
    made = plan()
    failed = FailedShard(index=ACME, shard=2, reason="CorruptIndexException", damaged=damaged)
    told = facts(made, restored=restored(made, failed), compared=compared(made, {BOLT: DIGESTS["bolt"]}))
    assert [each.name for each in compared_indices(made, told)] == [BOLT]
    assert may_open(made, told) == [BOLT]
    found, _, [finding] = assess(made, told)
    assert (found, finding.subject) == (verdict, f"{ACME}[2]")


def test_an_index_of_which_a_blob_is_damaged_off_site_is_refuted_with_the_blobs_path():
    made = plan()
    damage = refuted("indices/acme-folder/0/__x", "SHA-256 differs")
    fetched = FetchedBlobs(blobs=1, bytes=1, seconds=1, damaged=[damage], lost=[ACME])
    told = facts(made, fetched=fetched, restored=restored(made, without=[ACME]))
    verdict, [acme, bolt], findings = assess(made, told)
    assert (verdict, acme.verdict, bolt.verdict) == (Verdict.REFUTED, Verdict.REFUTED, Verdict.VERIFIED)
    assert damage in findings
    assert may_open(made, told) == [BOLT]


def test_an_alias_that_did_not_come_back_is_refuted_unless_none_was_to_come():
    made, beside = plan(), plan(request(names=Names.UNDER_PREFIX))
    told = facts(made, compared=compared(made, aliases={ACME: []}))
    verdict, _, [finding] = assess(made, told)
    assert (verdict, str(finding)) == (Verdict.REFUTED, f"REFUTED: {ACME}: alias tenant-acme is lost")
    assert may_open(made, told) == [BOLT]
    assert assess(beside, facts(beside, compared=compared(beside, aliases={ACME: []})))[0] is Verdict.VERIFIED


def test_what_could_not_be_read_after_the_restore_is_unknown():
    made = plan()
    verdict, _, findings = assess(made, facts(made, compared=None))
    assert verdict is Verdict.UNKNOWN
    assert {each.fact for each in findings} == {"restored, and its documents could not be read"}


def test_an_error_is_unknown_and_takes_no_refutation_back():
    made = plan()
    assert assess(made, RecoveryFacts(error="the store is away"))[0] is Verdict.UNKNOWN
    other = compared(made, {ACME: "x:1:ff", BOLT: DIGESTS["bolt"]})
    assert assess(made, facts(made, compared=other, opened=None, error="away"))[0] is Verdict.REFUTED


def test_nothing_is_open_before_it_was_opened():
    made = plan()
    found = report(made, facts(made, opened=None))
    assert (found.verdict, found.opened, found.rto_seconds) == (Verdict.UNKNOWN, [], None)


def test_the_measured_time_is_looking_and_doing_and_not_the_persons_thinking():
    made = plan()
    found = report(made, facts(made))
    assert (found.rto_seconds, found.waited_seconds) == (2 + 15, 98)


def test_nothing_opened_is_no_recovery_time():
    made = plan()
    assert report(made, facts(made, opened=Opened(names=[], at=AT))).rto_seconds is None


def test_the_page_says_verdict_figures_and_what_is_closed():
    made = plan()
    told = facts(made, compared=compared(made, {BOLT: DIGESTS["bolt"]}))
    told = told.model_copy(update={"opened": Opened(names=[BOLT], at=AT + timedelta(seconds=115))})
    page = render_recovery(report(made, told))
    assert "\nverdict: UNKNOWN\n" in page
    assert "| measured RTO | 17.0 s (17 s) |" in page
    assert f"| acme | UNKNOWN | 0 | `{ACME}` (closed) |" in page
    assert page.index("| acme |") < page.index("| bolt |")


def test_the_error_says_what_was_found_first():
    made = plan()
    failure = RecoveryNotVerified(report(made, RecoveryFacts(error="the store is away\nHINT: wait")))
    assert failure.message.endswith("is UNKNOWN: the store is away")
    assert "closed to writers" in failure.hint
