"""What is signed of a recovery."""

from __future__ import annotations

from pydantic import JsonValue

from steward.evidence.provenance import CodeVersion
from steward.evidence.statements import Artifact, Statement, artifact_of
from steward.snapshots.findings import as_stated
from steward.snapshots.recovery_report import RecoveryReport
from steward.snapshots.stages import milliseconds

OPERATION = "restore-from-offsite"
CLAIM = (
    "each index that was restored from the off-site copy alone holds every document, in its version, "
    "that the night of the copy found in it"
)


def recovery_statement(report: RecoveryReport) -> Statement:
    """The statement of one recovery. Durations are whole milliseconds, which every reader parses alike."""
    asked = artifact_of("request", _request(report))
    manifest = Artifact(f"{report.manifest_key}@{report.manifest_version}", {"sha256": report.manifest_sha256})
    return Statement(
        operation=OPERATION,
        subject=report.cluster,
        period=report.period,
        attempt=report.attempt,
        verdict=report.verdict,
        claim=CLAIM,
        artifacts=tuple(_restored(report)) or (asked,),
        inputs=(asked, manifest),
        figures=_figures(report),
        findings=as_stated(report.findings, report.error, report.snapshot),
        started=report.started_at,
        finished=report.ended_at,
        code=CodeVersion.model_validate(report.code),
        host=report.host,
    )


def _request(report: RecoveryReport) -> dict[str, JsonValue]:
    return {
        "cluster": report.cluster,
        "into": report.into,
        "names": report.names,
        "snapshot": report.snapshot,
        "indices": [each.name for each in report.indices],
        "because": report.because,
    }


def _restored(report: RecoveryReport) -> list[Artifact]:
    """What was read from each restored index, by its name there."""
    return [
        Artifact(f"{report.into}/{each.target}", {algorithm: digest})
        for each in report.indices
        if each.digest
        for algorithm, _, digest in [each.digest.split(":")]
    ]


def _figures(report: RecoveryReport) -> dict[str, JsonValue]:
    return {
        "snapshot": report.snapshot,
        "night": str(report.night),
        "night_on_record": report.standing,
        "because": report.because,
        "approved_by": report.approved_by,
        "remark": report.remark,
        "indices": len(report.indices),
        "opened": len(report.opened),
        "documents": report.documents,
        "findings_total": report.findings_total,
        "rto_milliseconds": milliseconds(report.rto_seconds),
        "waited_milliseconds": milliseconds(report.waited_seconds),
        "stages": [stage.figures() for stage in report.stages],
    }
