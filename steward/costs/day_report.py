"""What days of an account came to: the result of a run of `reconcile-days`, and each day's own figures."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from steward.costs.cells import CLASSES, Cell, Quantities
from steward.costs.kept import CostDay
from steward.costs.money import exactly
from steward.costs.period import Period
from steward.costs.results import DayResult
from steward.costs.statements.statement import Statement, state
from steward.verdicts import NotVerified, Verdict


class KeptDay(BaseModel):
    """A day as it was entered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    day: dt.date
    verdict: Verdict
    sha256: str | None
    """Of its result; None where it is UNKNOWN."""
    reason: str | None
    """Why it is."""

    @classmethod
    def of(cls, kept: CostDay) -> KeptDay:
        sha256 = kept.result.sha256 if kept.result else None
        return cls(day=kept.day, verdict=kept.verdict, sha256=sha256, reason=kept.reason)


class DaysReport(BaseModel):
    """The run's result. VERIFIED: every day is known, whatever it came to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    account: str
    reading: str
    verdict: Verdict
    days: tuple[KeptDay, ...]
    untold: tuple[str, ...] = ()
    """What the register of keys lacks."""


class DaysNotKnown(NotVerified):
    """A day could not be had: it has no cost, which is not a cost of nothing."""

    def __init__(self, report: DaysReport) -> None:
        lacking = [each for each in report.days if each.verdict is Verdict.UNKNOWN]
        super().__init__(
            f"{len(lacking)} of {len(report.days)} days of {report.account} are UNKNOWN: {lacking[0].day}: {lacking[0].reason}",
            hint="mend what it says, then ask for the days again (docs/runbooks/cost-reconciliation.md)",
            verdict=Verdict.UNKNOWN,
            report=report,
        )


class Rates(Protocol):
    """Of a book of prices."""

    def rate(self, provider: str, cell: Cell, item: str) -> Decimal: ...


def state_day(result: DayResult) -> Statement:
    """Of one account's day alone."""
    return state(Period(first=result.day, last=result.day), [result.account], [result])


def figures_of(statement: Statement, tenants: Mapping[str, Decimal]) -> dict[str, Any]:
    """What is kept beside a day, to be read by queries: amounts are texts."""
    found = statement.figures
    if found is None:
        msg = "a day that is UNKNOWN has no figures"
        raise ValueError(msg)
    named = ("ledger", "billed", "variance", "unexplained", "bound")
    return {
        **{name: f"{getattr(found, name):f}" for name in named},
        "causes": {each.cause.value: f"{each.amount:f}" for each in found.causes},
        "tenants": {tenant: f"{amount:f}" for tenant, amount in tenants.items()},
    }


def worth_by_tenant(
    used: Mapping[str, Sequence[tuple[Cell, Quantities]]], provider: str, book: Rates
) -> dict[str, Decimal]:
    """Dollars at list prices. Raises PriceUnknown."""
    with exactly():
        return {tenant: _worth(cells, provider, book) for tenant, cells in sorted(used.items())}


def _worth(cells: Iterable[tuple[Cell, Quantities]], provider: str, book: Rates) -> Decimal:
    parts = (
        quantity * book.rate(provider, cell, item)
        for cell, quantities in cells
        for item, quantity in zip(CLASSES, quantities, strict=True)
        if quantity
    )
    return sum(parts, Decimal(0))
