"""What a run that reconciles webhooks claims about itself."""

from __future__ import annotations

from datetime import datetime

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from steward.evidence.provenance import CodeVersion
from steward.evidence.statements import Statement, artifact_of
from steward.webhooks.reconciling import CLAIM, Report

OPERATION, SUBJECT = "reconcile-webhooks", "webhooks"
_SETTLED = TypeAdapter(dict[str, AwareDatetime | None])


def webhook_statement(report: Report) -> Statement:
    """Of one run: what each source's list came to, and up to when it is settled, which the next run goes on from."""
    return Statement(
        operation=OPERATION,
        subject=SUBJECT,
        period=report.period,
        attempt=report.attempt,
        verdict=report.verdict,
        claim=CLAIM,
        artifacts=tuple(artifact_of(each.source, each.model_dump(mode="json")) for each in report.outcomes),
        figures={
            "sources": {each.source: each.verdict.value for each in report.outcomes},
            "settled": {
                each.source: each.settled_until.isoformat() if each.settled_until else None for each in report.outcomes
            },
            "there": {each.source: each.found.had if each.found else None for each in report.outcomes},
            "recovered": {
                each.source: [recovered.guid for recovered in each.recovered if recovered.is_new]
                for each in report.outcomes
            },
            "unreadable": {each.source: len(each.unreadable) for each in report.outcomes},
            "of_other_events": {each.source: each.found.foreign if each.found else None for each in report.outcomes},
        },
        findings=report.findings,
        started=report.started_at,
        finished=report.ended_at,
        code=CodeVersion.model_validate(report.code),
        host=report.host,
    )


def settled_in(statement: Statement) -> dict[str, datetime | None]:
    """Up to when each source is settled, by the run that made *statement*; nothing where it does not say."""
    try:
        return dict(_SETTLED.validate_python(statement.figures.get("settled", {})))
    except ValidationError:
        return {}
