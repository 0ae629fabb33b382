"""The step that watches budgets: what was spent, what will be, who is told, and what stops."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from steward.clients.cost_book import alerts_of, latest_days, raise_alert
from steward.clients.cost_statements import load_results
from steward.clients.postgres import connect
from steward.clients.s3 import open_evidence_bucket
from steward.costs.budgets.budget_page import render_budgets
from steward.costs.budgets.budgets import Alert, BudgetStatus, Key, Stop, budget_status, decide, load_budgets
from steward.costs.budgets.spending import Daily, billed_spends, daily, ledger_spends
from steward.costs.kept import BudgetAlert, CostDay
from steward.costs.money import total
from steward.costs.planning import CostPlan
from steward.costs.report import BudgetsWatched
from steward.operations.fencing import fence
from steward.settings import Settings, load
from steward.verdicts import Verdict
from tasks.durable import operation, step

#: As far back as a forecast looks, and the days of a month.
_BACK = dt.timedelta(days=28 + 31)


@step("watch budgets")
def watch_budgets(plan: CostPlan) -> BudgetsWatched:
    """Each decision is entered once, and it is this run's to tell if this run entered it. BudgetsUnusable."""
    settings = load()
    path = settings.reconciled.budgets
    if path is None or not plan.periods:
        return BudgetsWatched()
    policy, through = load_budgets(path), max(period.last for period in plan.periods)
    spent = _spent(settings, through)
    month = through.replace(day=1)
    with connect(settings) as db:
        entered = [
            Key(each.budget, f"{each.month:%Y-%m}", each.threshold)
            for each in alerts_of(db, month)
            if each.operation_id != operation().id
        ]
    decided = decide(policy, spent, through, entered)
    ours = tuple(each for each in decided if _entered(settings, each, month))
    statuses = budget_status(policy, spent, through)
    return BudgetsWatched(
        decided=ours,
        page=render_budgets(statuses, ours),
        standing={each.budget.name: _standing(each) for each in statuses},
    )


def _spent(settings: Settings, through: dt.date) -> Daily:
    with connect(settings) as db:
        days = [each for each in latest_days(db, through - _BACK, through) if each.verdict is not Verdict.UNKNOWN]
    with open_evidence_bucket(settings) as objects:
        results = load_results(objects, days)
    everyone = {name: each.kind for name, each in settings.providers.items() if each.admin_key is not None}
    return daily((*billed_spends(results, everyone), *ledger_spends(_by_tenant(days), _whole(days, everyone))))


def _by_tenant(days: Iterable[CostDay]) -> dict[tuple[str, dt.date], Decimal]:
    found = defaultdict[tuple[str, dt.date], list[Decimal]](list)
    for each in days:
        for tenant, amount in ((each.figures or {}).get("tenants") or {}).items():
            found[tenant, each.day].append(Decimal(amount))
    return {name: total(amounts) for name, amounts in found.items()}


def _whole(days: Iterable[CostDay], accounts: Iterable[str]) -> list[dt.date]:
    """Days of which every account is known: of others a tenant may have spent more than is seen."""
    known = defaultdict[dt.date, set[str]](set)
    for each in days:
        known[each.day].add(each.account)
    return [day for day, found in known.items() if found >= set(accounts)]


def _entered(settings: Settings, decision: Alert | Stop, month: dt.date) -> bool:
    alert = BudgetAlert(
        budget=decision.budget,
        scope=decision.scope,
        subject=decision.subject,
        month=month,
        threshold=decision.threshold,
        limit_usd=decision.limit,
        amount_usd=decision.amount,
        hard_stop=isinstance(decision, Stop),
        operation_id=operation().id,
    )
    with connect(settings) as db:
        fence(db)
        return raise_alert(db, alert)


def _standing(status: BudgetStatus) -> dict[str, str | None]:
    seen = status.forecast
    return {
        "limit": f"{status.budget.monthly_usd:f}",
        "spent": None if seen.known is None else f"{seen.known:f}",
        "forecast": None if seen.expected is None else f"{seen.expected:f}",
    }
