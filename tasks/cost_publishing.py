"""What a reconciliation shows and leaves: pages with their pictures for people, events for machines, and its evidence."""

from __future__ import annotations

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.events import emit_event

from steward.clients.cost_pages import load_result
from steward.clients.s3 import LockedBucket, open_evidence_bucket
from steward.costs.report import CostReport, StatedPeriod
from steward.costs.statements.statement import Statement
from steward.costs.statements.statement_page import cause_table, render_statement
from steward.costs.statements.trend import draw_trend
from steward.costs.statements.waterfall import draw_waterfall
from steward.evidence.store import EvidenceRef, record
from steward.operations.steps import Kind
from steward.settings import load
from tasks.cost_evidence import cost_statement
from tasks.durable import step


@step("record evidence", run_name="record evidence of the costs", kind=Kind.CLOSING)
def record_costs(report: CostReport) -> EvidenceRef:
    """Sign the run's statement and keep it; the same report again changes nothing."""
    return record(load(), cost_statement(report))


@step("publish", kind=Kind.CLOSING)
def publish_costs(report: CostReport) -> None:
    """Statement with pictures, table of causes, budgets, events. Twice is harmless: artifacts are versions under one key."""
    said = f"Costs of {report.subject}: {report.verdict}"
    with open_evidence_bucket(load()) as objects:
        statements = [(stated, _statement(objects, stated)) for stated in report.stated]
    pages = [_page(statement) for _, statement in statements] or [f"# Costs\n\nverdict: {report.verdict}"]
    create_markdown_artifact("\n\n---\n\n".join([*pages, *_notes(report)]), key="ai-costs", description=said)
    rows = [{"period": str(stated.period), **row} for stated, statement in statements for row in cause_table(statement)]
    if rows:
        create_table_artifact(rows, key="ai-costs-causes", description=said)
    if report.budgets.page:
        create_markdown_artifact(report.budgets.page, key="ai-budgets", description="Budgets of AI providers")
    _emit(report)


def _statement(objects: LockedBucket, stated: StatedPeriod) -> Statement:
    return Statement.from_json(load_result(objects, stated.statement))


def _page(statement: Statement) -> str:
    pictures = {"From our ledger to the bill": draw_waterfall(statement)}
    if len(statement.period.days) > 1:
        days = statement.figures.days if statement.figures else ()
        pictures["By the day"] = draw_trend(statement.accounts, statement.period, days)
    return render_statement(statement, pictures)


def _notes(report: CostReport) -> list[str]:
    lacking = [f"- {each.account} on {each.day} could not be had: {each.reason}" for each in report.days.not_had]
    notes = [
        *(f"- {each}" for each in report.errors),
        *lacking,
        *(f"- {each}" for each in (*report.days.untold, *report.plan.notes)),
    ]
    return ["\n".join(["## Of this run", "", *notes])] if notes else []


def _emit(report: CostReport) -> None:
    resource = {"prefect.resource.id": "steward.ai.costs"}
    for stated in report.stated:
        emit_event(
            event=f"steward.ai.costs.{stated.verdict.lower()}",
            resource=resource,
            payload={
                "period": str(stated.period),
                "verdict": stated.verdict,
                "ledger": stated.ledger,
                "billed": stated.billed,
                "payable": stated.payable,
                "unexplained": stated.unexplained,
            },
        )
    for decision in report.budgets.decided:
        emit_event(
            event=f"steward.ai.budget.{decision.kind}",
            resource={"prefect.resource.id": f"steward.ai.budget.{decision.budget}"},
            payload=decision.model_dump(mode="json"),
        )
