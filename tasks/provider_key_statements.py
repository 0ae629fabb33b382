"""What a rotation of a provider's key comes to: its verdict, its evidence, and what people see of it."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event

from steward.ai.key_rotation import KeysBegun
from steward.ai.key_rotation_report import (
    CLAIM,
    KeyRotationReport,
    RotationFacts,
    assess,
    render,
    warnings_of,
)
from steward.evidence.provenance import CodeVersion, code_version, host_class
from steward.evidence.statements import Statement, artifact_of
from steward.evidence.store import EvidenceRef, record
from steward.operations.steps import Kind
from steward.settings import load
from tasks.durable import operation, step

OPERATION = "rotate-provider-keys"


@step("conclude the rotation", kind=Kind.CLOSING)
def conclude_rotation(begun: KeysBegun, reason: str, facts: RotationFacts) -> KeyRotationReport:
    """The run's verdict. Kept once, whatever a later attempt would measure."""
    verdict, findings = assess(facts)
    return KeyRotationReport(
        account=begun.account,
        reason=reason,
        period=operation().period,
        attempt=operation().attempt,
        verdict=verdict,
        begun=begun,
        facts=facts,
        findings=findings,
        warnings=warnings_of(begun, facts),
        ended_at=datetime.now(UTC),
        code=code_version().model_dump(),
        host=host_class(),
    )


@step("record evidence", run_name="record evidence of the rotation", kind=Kind.CLOSING)
def record_rotation_evidence(report: KeyRotationReport) -> EvidenceRef:
    """Sign the run's statement and keep it; the same report again changes nothing."""
    return record(load(), rotation_statement(report))


@step("show the rotation", kind=Kind.CLOSING)
def show_rotation(report: KeyRotationReport) -> None:
    """Twice is harmless: artifacts are versions under one key."""
    create_markdown_artifact(
        render(report), key="provider-keys", description=f"Key of {report.account}: {report.verdict}"
    )
    emit_event(
        event="steward.ai.key_rotated",
        resource={"prefect.resource.id": f"steward.ai.account.{report.account}"},
        payload={
            "verdict": report.verdict,
            "is_in_use": report.facts.switched is not None,
            "is_old_revoked": report.facts.revoked is not None,
            "pool_left": report.facts.new.pool_left if report.facts.new else None,
        },
    )


def rotation_statement(report: KeyRotationReport) -> Statement:
    """Of one run: keys by their ids at the provider and the beginnings of their hashes."""
    begun, facts = report.begun, report.facts
    asked = artifact_of("asked", {"account": report.account, "reason": report.reason})
    key = artifact_of("key", {"id": facts.new.id, "fingerprint": facts.new.fingerprint}) if facts.new else asked
    return Statement(
        operation=OPERATION,
        subject=report.account,
        period=report.period,
        attempt=report.attempt,
        verdict=report.verdict,
        claim=CLAIM,
        artifacts=(key,),
        inputs=(asked,),
        figures={
            "reason": report.reason,
            "secret": begun.secret,
            "old_keys": [each.id for each in begun.old],
            "old_fingerprint": begun.fingerprint,
            "old_was_refused": begun.was_refused,
            "new_key": facts.new.id if facts.new else None,
            "new_fingerprint": facts.new.fingerprint if facts.new else None,
            "new_version": facts.switched.version if facts.switched else None,
            "revoked": list(facts.revoked) if facts.revoked is not None else None,
            "workers": list(begun.workers),
            "attempts": facts.proof.attempts if facts.proof else None,
            "attempts_refused": facts.proof.refused_attempts if facts.proof else None,
            "pool_left": facts.new.pool_left if facts.new else None,
            "warnings": list(report.warnings),
        },
        findings=tuple(filter(None, (*report.findings, facts.error))),
        started=begun.started_at,
        finished=report.ended_at,
        code=CodeVersion.model_validate(report.code),
        host=report.host,
    )
