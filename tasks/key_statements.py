"""What a rotation says of itself: its report as kept, its statement, and what is shown."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.events import emit_event
from pydantic import JsonValue

from steward.clients.key_calls import summary
from steward.clients.postgres import connect
from steward.evidence.statements import Artifact, Statement, artifact_of
from steward.evidence.store import EvidenceRef, record
from steward.keys.certificate import findings_table, render_certificate
from steward.keys.report import RotationReport
from steward.keys.request import RotationRequest
from steward.operations.steps import Kind
from steward.settings import load
from tasks.durable import operation, step

OPERATION = "monthly-key-rotation"
CLAIM = (
    "every row of every encrypted table decrypts, under its tenant's current key, with the blind index of its value; "
    "no acknowledged write of the golden rows was lost; old keys are disabled where nothing is under them"
)


@step("keep report", kind=Kind.CLOSING)
def keep_report(report: RotationReport) -> RotationReport:
    """As it stands from here on, whatever attempt ends it."""
    return report.model_copy(update={"ended_at": datetime.now(UTC), "attempt": operation().attempt})


@step("record evidence", kind=Kind.CLOSING)
def record_rotation(request: RotationRequest, report: RotationReport) -> EvidenceRef:
    """Sign the rotation's statement and keep it in both stores; the same report again changes nothing."""
    settings = load()
    with connect(settings) as connection:
        calls = summary(connection, operation().id)
    return record(settings, _statement(request, report, dict(calls)))


def _statement(request: RotationRequest, report: RotationReport, calls: dict[str, JsonValue]) -> Statement:
    asked = artifact_of("request", request.model_dump(mode="json"))
    proved: list[Artifact] = []
    if report.proof:
        proved.append(artifact_of("proof", report.proof.model_dump(mode="json")))
    return Statement(
        operation=OPERATION,
        subject=report.subject,
        period=report.period,
        attempt=report.attempt,
        verdict=report.verdict,
        claim=CLAIM,
        artifacts=(*proved, asked),
        inputs=(asked,),
        figures={**_figures(report), "key_calls": calls},
        findings=tuple(report.findings),
        started=report.started_at,
        finished=report.ended_at,
    )


def _figures(report: RotationReport) -> dict[str, JsonValue]:
    retirement, proof = report.retirement, report.proof
    return {
        "reason": report.reason,
        "because": report.because,
        "tenants": report.tenants,
        "kek_before": report.kek_before,
        "kek": report.kek,
        "keys_rewrapped": report.rewrapped,
        "generations_added": report.generations,
        "rows_reencrypted": sum(sweep.replaced for sweep in report.sweeps),
        "rows_proved": report.rows,
        "values_proved": sum(table.values for table in proof.tables) if proof else None,
        "rows_of_erased_tenants": sum(table.erased for table in proof.tables) if proof else None,
        "lookups_compared": sum(table.lookups for table in proof.tables) if proof else None,
        "golden_rows": proof.golden.still if proof else None,
        "golden_writes_acknowledged": proof.golden.writes if proof else None,
        "damaged_values": sum(proof.damaged.values()) if proof else None,
        "keys_disabled": [f"{tenant}/{key_id}" for tenant, key_id in retirement.retired],
        "keys_destroyed": [f"{tenant}/{key_id}" for tenant, key_id in retirement.destroyed],
        "keys_taken_back": [f"{tenant}/{key_id}" for tenant, key_id in retirement.reinstated],
        "kek_versions_disabled": list(retirement.disabled_keks),
        "kek_versions_still_needed": list(retirement.waiting_keks),
        "stages": [{"name": stage.name, "milliseconds": round(stage.seconds * 1000)} for stage in report.stages],
    }


@step("publish", kind=Kind.CLOSING)
def publish_rotation(report: RotationReport) -> None:
    """Certificate, table of findings, event. Twice is harmless: artifacts are versions under one key."""
    told = f"keys of {report.subject}: {report.verdict}"
    create_markdown_artifact(render_certificate(report), key="key-rotation", description=told)
    if report.findings:
        create_table_artifact(findings_table(report), key="key-rotation-findings", description=told)
    emit_event(
        event=f"steward.keys.rotation.{report.verdict.lower()}",
        resource={"prefect.resource.id": "steward.keys"},
        payload={
            "subject": report.subject,
            "period": report.period,
            "reason": report.reason,
            "verdict": report.verdict,
            "rows": report.rows,
            "findings": len(report.findings),
        },
    )
