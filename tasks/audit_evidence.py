"""An audit's statement; and the last one's findings, which only its statement remembers."""

from __future__ import annotations

from typing import Any, cast

from pydantic import JsonValue

from steward.clients.postgres import Connection
from steward.evidence.envelopes import open_envelope
from steward.evidence.statements import Statement, artifact_of, parse_statement
from steward.evidence.store import list_statements
from steward.keys.audit_facts import Sources
from steward.keys.audit_report import AuditBegun, AuditReport, Before
from steward.operations.claims import Operation

OPERATION = "audit-keys"
CLAIM = "keys, secrets, generations, wraps, roles and rights are as the policy says, in every check that the policy asks for"


def audit_statement(begun: AuditBegun, read: Sources, report: AuditReport, calls: dict[str, JsonValue]) -> Statement:
    """What was read, by the digest of each source; every finding; and the policy that it was held against."""
    policy = artifact_of("policy", begun.policy.model_dump(mode="json"))
    seen = tuple(artifact_of(name, facts.model_dump(mode="json")) for name, facts in read.facts())
    return Statement(
        operation=OPERATION,
        subject=report.subject,
        period=report.period,
        attempt=report.attempt,
        verdict=report.verdict,
        claim=CLAIM,
        artifacts=seen or (policy,),
        inputs=(policy,),
        figures={**_figures(report), "key_calls": calls},
        findings=tuple(_finding(report, index) for index in range(len(report.findings))),
        started=report.started_at,
        finished=report.ended_at,
    )


def _figures(report: AuditReport) -> dict[str, JsonValue]:
    return {
        "checks": {check.name: check.verdict and check.verdict.value for check in report.checks},
        "not_asked": list(report.not_asked),
        "new": list(report.new),
        "gone": list(report.gone),
        "compared_with": report.compared_with,
        **report.figures,
    }


def _finding(report: AuditReport, index: int) -> JsonValue:
    found = report.findings[index]
    return {"id": found.id, "new": found.id in report.new, **found.model_dump(mode="json")}


def last_audit(connection: Connection, held: Operation) -> Before:
    """The audit before the one that is *held*; none where there is no statement of one."""
    for row in list_statements(connection, OPERATION, subject=held.subject, limit=10):
        if (row.period, row.attempt) != (held.period, held.attempt):
            findings = parse_statement(open_envelope(row.envelope.encode()).payload).findings
            told = [cast("dict[str, Any]", each) for each in findings if isinstance(each, dict)]
            return Before(digest=row.digest, ids=tuple(str(each["id"]) for each in told if "id" in each))
    return Before()
