"""What a reconciliation claims about itself."""

from __future__ import annotations

from pydantic import JsonValue

from steward.costs.report import CLAIM, MONTH_CLAIM, CostReport, StatedPeriod
from steward.evidence.provenance import CodeVersion
from steward.evidence.statements import Artifact, Statement, artifact_of

OPERATION = "cost-reconciliation"


def cost_statement(report: CostReport) -> Statement:
    """Of one run: its statements and FOCUS files by their digests, made of the days that they name by theirs."""
    stated = tuple(each for period in report.stated for each in _artifacts(period))
    return Statement(
        operation=OPERATION,
        subject=report.subject,
        period=report.period,
        attempt=report.attempt,
        verdict=report.verdict,
        claim=CLAIM + (MONTH_CLAIM if report.plan.against_invoices else ""),
        artifacts=stated or (artifact_of("plan", report.plan.model_dump(mode="json")),),
        inputs=tuple(each for period in report.stated for each in _inputs(period)),
        figures={
            "accounts": list(report.plan.accounts),
            "periods": {str(each.period): _figures(each) for each in report.stated},
            "budgets": {name: dict(each) for name, each in report.budgets.standing.items()},
            "decided": [each.sentence for each in report.budgets.decided],
        },
        findings=report.findings,
        started=report.plan.started_at,
        finished=report.ended_at,
        code=CodeVersion.model_validate(report.code),
        host=report.host,
    )


def _artifacts(stated: StatedPeriod) -> tuple[Artifact, ...]:
    return tuple(Artifact(each.object_key, {"sha256": each.sha256}) for each in (stated.statement, *stated.focus))


def _inputs(stated: StatedPeriod) -> tuple[Artifact, ...]:
    days = tuple(Artifact(f"day {name}", {"sha256": digest}) for name, digest in stated.days.items())
    invoices = tuple(
        Artifact(f"invoice {account} {stated.period}", {"sha256": digest})
        for account, digest in stated.invoices.items()
    )
    return (*days, *invoices)


def _figures(stated: StatedPeriod) -> JsonValue:
    """Amounts are texts: whoever reads JSON may read its numbers as floats."""
    named = ("verdict", "ledger", "billed", "payable", "variance", "unexplained", "bound")
    return {**{name: getattr(stated, name) for name in named}, "causes": dict(stated.causes)}
