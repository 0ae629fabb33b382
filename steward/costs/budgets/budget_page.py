"""Budgets as people read them: what was decided first, then how each one stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from steward.costs.budgets.budgets import Alert, BudgetStatus, Stop
from steward.costs.money import share_of, shown
from steward.costs.statements.statement_page import plain

_NOT_KNOWN = "not known"


def render_budgets(statuses: Sequence[BudgetStatus], decisions: Iterable[Alert | Stop]) -> str:
    """Markdown. *decisions*: those of this run."""
    if not statuses:
        return "# Budgets\n\nNo budget is set."
    decided = [f"- {'STOP' if isinstance(each, Stop) else 'ALERT'}: {plain(each.sentence)}" for each in decisions]
    return "\n".join(
        [
            f"# Budgets, {statuses[0].forecast.month}, through {statuses[0].forecast.through}",
            "",
            *(decided or ["Nothing new is to be told."]),
            "",
            "| budget | of | limit | spent | of the limit | expected | between |",
            "| --- | --- | ---: | ---: | ---: | ---: | --- |",
            *(_line(each) for each in budget_table(statuses)),
        ]
    )


def budget_table(statuses: Iterable[BudgetStatus]) -> list[dict[str, str]]:
    """One row a budget. What is not known says so, and is no amount."""
    return [dict(_cells(each)) for each in statuses]


def _cells(status: BudgetStatus) -> Iterator[tuple[str, str]]:
    seen, limit = status.forecast, status.budget.monthly_usd
    least = "at least " if seen.unknown_days else ""
    yield "budget", status.budget.name
    yield "of", " ".join(status.budget.of)
    yield "limit", shown(limit)
    yield "spent", _NOT_KNOWN if seen.known is None else f"{least}{shown(seen.known)}"
    yield "of the limit", "" if seen.known is None else f"{least}{share_of(seen.known, limit)}"
    yield "expected", _amount(seen.expected)
    yield "between", "" if seen.low is None or seen.high is None else f"{shown(seen.low)} and {shown(seen.high)}"


def _amount(amount: Decimal | None) -> str:
    return _NOT_KNOWN if amount is None else shown(amount)


def _line(row: dict[str, str]) -> str:
    return f"| {' | '.join(plain(each) for each in row.values())} |"
