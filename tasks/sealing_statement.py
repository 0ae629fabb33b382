"""What a run that seals hours of AI attempts claims about itself."""

from __future__ import annotations

from datetime import UTC, datetime

from steward.ai.sealing_report import CLAIM, SealReport
from steward.evidence.provenance import CodeVersion
from steward.evidence.statements import Artifact, Statement, artifact_of

OPERATION, SUBJECT = "seal-ai-attempts", "ai-attempts"


def sealing_statement(report: SealReport) -> Statement:
    """Of one run: every file and manifest that it sealed, by digest."""
    due = artifact_of("hours", {"hours": [_moment(hour) for hour in report.begun.hours]})
    made = [
        Artifact(name, {"sha256": digest})
        for each in report.sealed
        for name, digest in ((each.object_key, each.sha256), (each.manifest_key, each.manifest_sha256))
    ]
    return Statement(
        operation=OPERATION,
        subject=SUBJECT,
        period=report.period,
        attempt=report.attempt,
        verdict=report.verdict,
        claim=CLAIM,
        artifacts=tuple(made) or (due,),
        inputs=(due,),
        figures={
            "hours_sealed": [_moment(each.hour) for each in report.sealed],
            "hours_left": report.begun.left,
            "attempts": sum(each.rows for each in report.sealed) if report.sealed else None,
            "attempts_by_state": dict(report.states),
            "bytes": sum(each.bytes for each in report.sealed) if report.sealed else None,
            "swept_unknown": report.begun.swept_unknown,
            "swept_aborted": report.begun.swept_aborted,
        },
        findings=tuple(filter(None, (*report.findings, report.error))),
        started=report.begun.started_at,
        finished=report.ended_at,
        code=CodeVersion.model_validate(report.code),
        host=report.host,
    )


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
