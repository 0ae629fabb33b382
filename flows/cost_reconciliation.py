"""Explain every cent between the gateway's ledger and what providers bill.

Failure semantics: days are read and explained by runs of `reconcile-days` on whichever workers there are; a day that one of
them could not have ends this run Failed, UNKNOWN, and its statement has no figure of cost. A variance of one per cent or
more, or a cent without a cause, ends it Failed, REFUTED. The evidence says either. What was read is kept, whatever the
verdict; nothing is corrected, at the provider or here. Killed anywhere, a new run finds the runs of its days again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Generator
from contextlib import contextmanager

from prefect import flow, unmapped
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from steward.costs.planning import CostPlan, ReconciliationRequest
from steward.costs.report import BudgetsWatched, CostReport, CostsNotVerified, DaysOutcome, StatedPeriod
from steward.operations.claims import Terms
from steward.verdicts import Verdict
from tasks.children import run_child
from tasks.cost_budgets import watch_budgets
from tasks.cost_partitions import outcome, partition_key, partition_period
from tasks.cost_publishing import publish_costs, record_costs
from tasks.cost_reconciliation import conclude_reconciliation, plan_reconciliation, state_period
from tasks.durable import durable, recorded

# One frozen request: the form's defaults.
DUE = ReconciliationRequest()
DAYS = "reconcile-days/reconcile-days"


def _period(request: ReconciliationRequest) -> str:
    # A run that starts late keeps its day.
    day = flow_run.get_scheduled_start_time().astimezone(dt.UTC).date()
    return f"{day}/{request.label}" if request.label else str(day)


@flow(name="cost-reconciliation", flow_run_name="costs of {request.subject}", persist_result=False)
@durable(
    subject="{request.subject}",
    period=_period,
    resource="ai-costs/{request.subject}",
    terms=Terms(deadline_seconds=6 * 3600),
)
def cost_reconciliation(request: ReconciliationRequest = DUE) -> CostReport:
    """Read what providers state, hold it against the ledger, and say the cause of every difference."""
    # What was kept stands, whatever the steps before it would come to now.
    report = recorded(conclude_reconciliation) or _report(request)
    record_costs(report)
    publish_costs(report)
    if report.verdict is not Verdict.VERIFIED:
        raise CostsNotVerified(report)
    return report


def _report(request: ReconciliationRequest) -> CostReport:
    plan = plan_reconciliation(request)
    days = _explain_days(plan)
    stated, budgets, errors = list[StatedPeriod](), BudgetsWatched(), list[str]()
    # Whatever stops one of them, the others are told, the run has a verdict, and the evidence says why.
    with _telling(errors):
        budgets = watch_budgets(plan)
    for period in plan.periods:
        with _telling(errors):
            stated.append(state_period(plan, period, days.not_had, budgets))
    return conclude_reconciliation(request, plan, days, tuple(stated), budgets, tuple(errors))


@contextmanager
def _telling(errors: list[str]) -> Generator[None]:
    try:
        yield
    except Exception as failure:  # noqa: BLE001  see where it is used
        get_run_logger().exception("not everything was stated")
        errors.append(f"{type(failure).__name__}: {failure}")


def _explain_days(plan: CostPlan) -> DaysOutcome:
    """Side by side, each on whichever worker takes it."""
    if not plan.partitions:
        return DaysOutcome()
    runs = run_child.map(  # pyright: ignore[reportFunctionMemberAccess]  a step is a Task
        deployment=unmapped(DAYS),
        parameters=[{"request": each.model_dump(mode="json")} for each in plan.partitions],
        key=[partition_key(each) for each in plan.partitions],
        period=unmapped(partition_period()),
    )
    return DaysOutcome.of_all(outcome(part, run) for part, run in zip(plan.partitions, runs, strict=True))
