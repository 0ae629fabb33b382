"""The step that closes every operation: a signed statement of what was found, whatever it was."""

from __future__ import annotations

from pydantic import JsonValue

from steward.evidence.provenance import CodeVersion
from steward.evidence.statements import Artifact, Statement, artifact_of
from steward.evidence.store import EvidenceRef, record
from steward.operations.steps import Kind
from steward.settings import load
from steward.snapshots.findings import as_stated
from steward.snapshots.policy import SnapshotPolicy
from steward.snapshots.report import SnapshotReport
from steward.snapshots.stages import milliseconds
from tasks.durable import step

OPERATION = "nightly-snapshot"
CLAIM = "each restored index equals its source at the snapshot's moment, document by document, with its definitions"
BLOBS_CLAIM = "every blob of the snapshot is sound, and what it was when it was first read"
OFFSITE_CLAIM = "all of it lies in a locked bucket, and what was restored from there alone is the same"


@step("record evidence", run_name="record evidence {report.snapshot}", kind=Kind.CLOSING)
def record_evidence(policy: SnapshotPolicy, report: SnapshotReport) -> EvidenceRef:
    """Sign the night's statement and keep it in both stores; the same report again changes nothing."""
    return record(load(), night_statement(policy, report))


def night_statement(policy: SnapshotPolicy, report: SnapshotReport) -> Statement:
    """The statement of one attempt at one night. Durations are whole milliseconds, which every reader parses alike."""
    asked = artifact_of("policy", policy.model_dump(mode="json"))
    return Statement(
        operation=OPERATION,
        subject=report.cluster,
        period=str(report.night),
        attempt=report.attempt,
        verdict=report.verdict,
        claim=_claim(policy),
        artifacts=(*_copies(report), *_manifests(report)) or (asked,),
        inputs=(asked,),
        figures=_figures(report),
        findings=as_stated(report.findings, report.error, report.snapshot),
        started=report.started_at,
        finished=report.ended_at,
        code=CodeVersion.model_validate(report.code),
        host=report.host,
    )


def _claim(policy: SnapshotPolicy) -> str:
    """What is claimed of a night by this policy; the verdict says whether it holds."""
    parts = [CLAIM, *([BLOBS_CLAIM] if policy.blobs else []), *([OFFSITE_CLAIM] if policy.offsite else [])]
    return "; ".join(parts)


def _manifests(report: SnapshotReport) -> list[Artifact]:
    """The list of the snapshot's blobs, and the document of their copy: by their digests all blobs are named."""
    manifest = report.blobs.manifest if report.blobs else None
    found = (
        [Artifact(f"{report.repository}/{report.snapshot}/manifest", {"sha256": manifest.sha256})] if manifest else []
    )
    copied = report.copied
    if copied and copied.manifest_sha256:
        found.append(Artifact(copied.manifest_key, {"sha256": copied.manifest_sha256}))
    return found


def _copies(report: SnapshotReport) -> list[Artifact]:
    return [
        Artifact(f"{report.repository}/{report.snapshot}/{proof.index}", {proof.algorithm: proof.digest})
        for proof in report.copies
        if proof.digest
    ]


def _figures(report: SnapshotReport) -> dict[str, JsonValue]:
    return {
        "snapshot": report.snapshot,
        "snapshot_begun": report.taken_at.isoformat() if report.taken_at else None,
        "documents": report.documents,
        "attributed": dict(report.attributed),
        "undecided": report.undecided,
        "undecided_ids": list(report.undecided_ids),
        "findings_total": report.findings_total,
        "golden_matches": dict(report.golden_matches),
        "rpo_milliseconds": milliseconds(report.rpo_seconds),
        "rto_milliseconds": milliseconds(report.rto_seconds),
        "blobs": report.blobs.figures() if report.blobs else None,
        "offsite_copy": report.copied.figures() if report.copied else None,
        "offsite_proof": report.copy_proved.figures() if report.copy_proved else None,
        "expired": dict(report.expired),
        "tenants": [
            {
                "tenant": tenant.tenant,
                "verdict": tenant.verdict,
                "documents": tenant.documents,
                "proof_age_nights": tenant.proof_age_nights,
            }
            for tenant in report.tenants
        ],
        "stages": [stage.figures() for stage in report.stages],
    }
