from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from steward.snapshots.findings import refuted, unknown
from steward.snapshots.offsite_report import OffsiteCopied, OffsiteProved
from steward.verdicts import Verdict

COPIED = OffsiteCopied(
    seconds=1.5,
    repository_uuid="uuid",
    generation=3,
    manifest_key="production/uuid/manifests/2026-05-01-snap.jsonl.gz",
    manifest_version="v",
    manifest_sha256="a" * 64,
    entries=40_000,
    entries_bytes=1 << 40,
    uploaded=4_000,
    uploaded_bytes=1 << 36,
    renewed=5_000,
    kept=31_000,
    looked_at=2_000,
    locked_until=datetime(2026, 6, 8, tzinfo=UTC),
)
PROVED = OffsiteProved(
    seconds=60.0,
    tenants=("a", "b"),
    indices=2,
    documents=1_000_000,
    fetched=500,
    fetched_bytes=1 << 34,
    rto_seconds=55.25,
)


@pytest.mark.parametrize("report", [COPIED, PROVED])
def test_a_finding_decides(report):
    assert report.verdict is Verdict.VERIFIED
    assert report.model_copy(update={"findings": (unknown("x", "y"),)}).verdict is Verdict.UNKNOWN
    assert report.model_copy(update={"findings": (unknown("x", "y"), refuted("x", "y"))}).verdict is Verdict.REFUTED


def test_a_copy_without_its_document_and_a_proof_of_nobody_are_not_green():
    assert COPIED.model_copy(update={"manifest_key": ""}).verdict is Verdict.UNKNOWN
    assert PROVED.model_copy(update={"tenants": ()}).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("report", [COPIED, PROVED])
def test_figures_are_whole_numbers_and_json(report):
    figures = report.figures()
    assert json.loads(json.dumps(figures)) == figures
    assert not any(isinstance(value, float) for value in figures.values())
    assert figures["ms"] == round(1000 * report.seconds)
    assert "findings" not in figures


def test_a_certificates_rows_are_short_and_say_what_was_done():
    assert COPIED.line() == "40,000 blobs, locked; 4,000 new (68,719,476,736 bytes) and 5,000 renewed until 2026-06-08"
    assert PROVED.line() == "2 tenants, 1,000,000 documents, restored from there alone in 55.2 s"
    assert all(len(report.line()) <= 100 for report in (COPIED, PROVED))
    incomplete = COPIED.model_copy(update={"manifest_key": ""})
    assert incomplete.line() == "not complete: 4,000 of 40,000 blobs copied"


def test_stages_are_named_and_measured():
    assert (COPIED.stage.name, COPIED.stage.bytes, COPIED.stage.seconds) == ("copy", 1 << 36, 1.5)
    assert (PROVED.stage.name, PROVED.stage.documents) == ("copy-proof", 1_000_000)


def test_a_report_survives_its_record():
    for report in (COPIED, PROVED):
        assert type(report).model_validate(report.model_dump(mode="json")) == report
