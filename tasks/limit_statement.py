"""What a comparison of limits claims about itself."""

from __future__ import annotations

from pydantic import JsonValue

from steward.ai.limit_report import CLAIM, DriftReport
from steward.evidence.provenance import CodeVersion
from steward.evidence.statements import Artifact, Statement, artifact_of

OPERATION, SUBJECT = "limit-drift", "providers"


def limit_statement(report: DriftReport) -> Statement:
    """Of one run: our catalog by its digest, what each provider told by that of its own, and every figure of both."""
    told = tuple(artifact_of(each.account, each.model_dump(mode="json")) for each in report.told)
    catalog = Artifact("catalog", {"sha256": report.begun.catalog})
    return Statement(
        operation=OPERATION,
        subject=SUBJECT,
        period=report.period,
        attempt=report.attempt,
        verdict=report.verdict,
        claim=CLAIM,
        artifacts=told or (catalog,),
        inputs=(catalog,),
        figures={
            "least_percent": report.begun.least_percent,
            "accounts": {each.account: each.verdict.value for each in report.compared},
            "told_by": {each.account: each.source.value if each.source else None for each in report.compared},
            "limits": _limits(report),
        },
        findings=report.findings,
        started=report.begun.started_at,
        finished=report.ended_at,
        code=CodeVersion.model_validate(report.code),
        host=report.host,
    )


def _limits(report: DriftReport) -> list[JsonValue]:
    return [drift.model_dump(mode="json", exclude={"finding"}) for each in report.compared for drift in each.drifts]
