import pickle
from datetime import UTC, date, datetime

from steward.snapshots.blob_report import BlobsChecked
from steward.snapshots.certificate import render_certificate, tenant_table
from steward.snapshots.content import IndexContent
from steward.snapshots.estimating import ASSUMED
from steward.snapshots.findings import refuted
from steward.snapshots.offsite_report import OffsiteCopied, OffsiteProved
from steward.snapshots.policy import SnapshotPolicy
from steward.snapshots.report import (
    SnapshotNotVerified,
    SnapshotReport,
    TenantProof,
    find_gaps,
)
from steward.snapshots.stages import Stage
from steward.verdicts import Verdict

POLICY = SnapshotPolicy(undecided_ppm=1000)


def proof(**changes):
    parts = {"index": "tenant-acme-000001", "documents": 1000, "bytes": 9, "digest": "a:1000:d", "unchanged": 1000}
    return IndexContent.model_validate(parts | changes)


def report(**changes):
    at = datetime(2025, 7, 31, 1, 30, tzinfo=UTC)
    parts = {
        "cluster": "production",
        "repository": "nightly",
        "snapshot": "nightly-2025-07-31-1",
        "night": date(2025, 7, 31),
        "attempt": 1,
        "verdict": Verdict.VERIFIED,
        "started_at": at,
        "ended_at": at,
        "documents": 1000,
    }
    return SnapshotReport.model_validate(parts | changes)


def gaps(proofs, planned):
    return [(each.verdict, each.subject, each.fact) for each in find_gaps(POLICY, proofs, planned)]


def test_a_night_in_which_all_that_was_planned_was_compared_has_no_gap():
    assert gaps([proof()], ["acme"]) == []


def test_a_tenant_that_was_planned_and_not_compared_is_a_gap():
    assert gaps([proof()], ["acme", "bolt"]) == [
        (Verdict.UNKNOWN, "tenant bolt", "was to be proved tonight, and was not")
    ]


def test_a_night_that_compared_no_document_proves_nothing():
    for proofs in ([], [proof(documents=0, unchanged=0)]):
        assert [verdict for verdict, _, fact in gaps(proofs, []) if "no document" in fact] == [Verdict.UNKNOWN]


def test_undecided_documents_are_borne_up_to_the_bound_and_not_beyond():
    assert gaps([proof(undecided=1)], ["acme"]) == []
    [(verdict, _, fact)] = gaps([proof(undecided=2)], ["acme"])
    assert verdict is Verdict.UNKNOWN
    assert fact.startswith("2,000 documents per million are undecidable")


BLOBS = BlobsChecked(seconds=1, bytes=5, entries=7, generation=3, new=2, manifest=None)
COPIED = OffsiteCopied(seconds=1, repository_uuid="u", generation=3, manifest_key="m", entries=7)
COPY_PROVED = OffsiteProved(seconds=1, tenants=("acme",), documents=9, rto_seconds=1.5)
STAGES = [Stage(name=name, seconds=1) for name in ASSUMED]


def test_the_certificate_holds_its_verdict_on_a_line_and_never_grows():
    long = {
        "findings": [refuted(f"d{i}", "missing") for i in range(100)],
        "findings_total": 250,
        "verdict": Verdict.REFUTED,
        "stages": STAGES,
        "blobs": BLOBS,
        "copied": COPIED,
        "copy_proved": COPY_PROVED,
    }
    lines = render_certificate(report(**long)).splitlines()
    assert "verdict: REFUTED" in lines
    assert len(lines) <= 37
    assert any("245 more findings" in line for line in lines)
    failed = render_certificate(report(**long, error="one\nHINT: two\nthree\nHINT: four")).splitlines()
    assert len(failed) <= 37
    assert any("249 more findings" in line for line in failed)


def test_the_certificate_says_what_blobs_and_copies_came_to():
    told = render_certificate(report(blobs=BLOBS, copied=COPIED, copy_proved=COPY_PROVED))
    assert f"| blobs | {BLOBS.line()} |" in told
    assert f"| off-site copy | {COPIED.line()} |" in told
    assert f"| proved from the copy | {COPY_PROVED.line()} |" in told
    bare = render_certificate(report())
    assert "| blobs | not checked |" in bare
    assert "| off-site copy | none made |" in bare
    assert "| proved from the copy | nothing |" in bare


def test_the_table_of_tenants_puts_the_worst_first_and_names_proof_ages():
    tenants = [
        TenantProof(tenant="a", verdict=Verdict.VERIFIED, proof_age_nights=0),
        TenantProof(tenant="b", verdict=None, proof_age_nights=3),
        TenantProof(tenant="c", verdict=Verdict.REFUTED),
    ]
    rows = tenant_table(report(tenants=tenants))
    assert [row["tenant"] for row in rows] == ["c", "b", "a"]
    assert [row["proof age"] for row in rows] == ["never proved", "3 nights ago", "tonight"]


def test_a_report_survives_its_way_through_json():
    value = report(findings=[refuted("d", "f")], tenants=[TenantProof(tenant="a", verdict=None)])
    assert SnapshotReport.model_validate(value.model_dump(mode="json", exclude={"undecided_ppm"})) == value


def test_the_error_of_a_failed_night_survives_pickling_with_verdict_and_hint():
    error = pickle.loads(pickle.dumps(SnapshotNotVerified(report(verdict=Verdict.UNKNOWN))))  # noqa: S301  # our own bytes
    assert isinstance(error, SnapshotNotVerified)
    assert error.verdict is Verdict.UNKNOWN
    assert "HINT:" in str(error)
