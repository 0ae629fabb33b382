"""The steps of a reconciliation, around the runs that explain its days: planned, stated, put into FOCUS, judged."""

from __future__ import annotations

import datetime as dt

from steward.clients.cost_book import keep_statement, latest_days
from steward.clients.cost_hours import ledger_begins
from steward.clients.cost_pages import store_locked
from steward.clients.cost_statements import gather, make_statement, store_focus
from steward.clients.postgres import Connection, connect
from steward.clients.s3 import open_evidence_bucket
from steward.costs.kept import CostStatement, StoredObject, statement_key
from steward.costs.period import Period
from steward.costs.planning import CostPlan, ReconciliationRequest, plan_costs
from steward.costs.report import BudgetsWatched, CostReport, DaysOutcome, NotHad, StatedPeriod, verdict_on
from steward.costs.results import Gap
from steward.costs.statements.statement import Statement
from steward.evidence.provenance import code_version, host_class
from steward.operations.fencing import fence
from steward.operations.holding import guard
from steward.operations.steps import Kind
from steward.settings import Settings, load
from steward.verdicts import Verdict
from tasks.durable import operation, step


@step("plan")
def plan_reconciliation(request: ReconciliationRequest) -> CostPlan:
    """What is read and stated. RequestInvalid, before anything is."""
    settings = load()
    # BadInput where nobody says at which terms providers bill.
    _ = settings.reconciled
    providers = {name: each.kind for name, each in settings.providers.items() if each.admin_key is not None}
    # A run that makes good a night that was missed is of that night.
    today = dt.date.fromisoformat(operation().period[: len("2026-01-31")])
    with connect(settings) as db:
        since = ledger_begins(db)
        known = _known(db, Period.of_month(request.month_on(today))) if request.month else set()
    return plan_costs(request, providers, dt.datetime.now(dt.UTC), today, since=since, known=known)


def _known(db: Connection, month: Period) -> set[tuple[str, dt.date]]:
    days = latest_days(db, month.first, month.last)
    return {(each.account, each.day) for each in days if each.verdict is not Verdict.UNKNOWN}


@step("state period", run_name="state {period}", key="{period}")
def state_period(plan: CostPlan, period: Period, not_had: tuple[NotHad, ...], budgets: BudgetsWatched) -> StatedPeriod:
    """The statement, stored whole and entered; without a figure where anything is missing."""
    settings = load()
    gaps = [Gap(account=each.account, day=each.day, reason=each.reason) for each in not_had]
    with open_evidence_bucket(settings, before_write=guard) as objects:
        material = gather(settings, objects, plan, period, gaps)
        statement = make_statement(plan, period, material)
        body = statement.to_json()
        key = statement_key(plan.subject, period.first, period.last, body)
        stored = store_locked(settings, objects, key, body)
        known = statement.verdict is not Verdict.UNKNOWN
        focus = store_focus(settings, objects, plan, period, material) if known else ()
    kept = _keep(settings, plan.subject, statement, stored, budgets)
    return StatedPeriod(
        period=period,
        verdict=statement.verdict,
        **_amounts(statement),
        causes=_causes(statement),
        findings=statement.findings,
        statement=kept.result,
        days=material.digests,
        invoices={name: invoice.sha256 for name, (_, invoice) in material.invoices.items()},
        focus=focus,
    )


def _keep(
    settings: Settings, subject: str, statement: Statement, stored: StoredObject, budgets: BudgetsWatched
) -> CostStatement:
    figures = None
    if statement.figures is not None:
        figures = {**_amounts(statement), "causes": _causes(statement), "budgets": budgets.standing}
    made = CostStatement(
        subject=subject,
        first_day=statement.period.first,
        last_day=statement.period.last,
        verdict=statement.verdict,
        figures=figures,
        result=stored,
        operation_id=operation().id,
    )
    with connect(settings) as db:
        fence(db)
        return keep_statement(db, made)


def _amounts(statement: Statement) -> dict[str, str | None]:
    """As texts; None where nothing is known, or nothing was invoiced."""
    named = ("ledger", "billed", "payable", "variance", "unexplained", "bound")
    amounts = {name: getattr(statement.figures, name, None) for name in named}
    return {name: None if amount is None else f"{amount:f}" for name, amount in amounts.items()}


def _causes(statement: Statement) -> dict[str, str]:
    return {each.cause.value: f"{each.amount:f}" for each in statement.figures.causes} if statement.figures else {}


@step("conclude", kind=Kind.CLOSING)
def conclude_reconciliation(  # noqa: PLR0917  the parts of one report
    request: ReconciliationRequest,
    plan: CostPlan,
    days: DaysOutcome,
    stated: tuple[StatedPeriod, ...],
    budgets: BudgetsWatched,
    errors: tuple[str, ...] = (),
) -> CostReport:
    """The verdict. Kept once, so that its evidence says the same whatever a later attempt would read."""
    return CostReport(
        period=operation().period,
        subject=request.subject,
        attempt=operation().attempt,
        verdict=verdict_on(plan, stated, days.not_had, errors),
        plan=plan,
        stated=stated,
        days=days,
        budgets=budgets,
        errors=errors,
        ended_at=dt.datetime.now(dt.UTC),
        code=code_version().model_dump(),
        host=host_class(),
    )
