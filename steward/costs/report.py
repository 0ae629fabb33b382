"""What a reconciliation came to: its verdict, its statements, and where everything lies that shows it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from pydantic import AwareDatetime, BaseModel, ConfigDict

from steward.costs.budgets.budgets import Alert, Stop
from steward.costs.kept import StoredObject
from steward.costs.period import Period
from steward.costs.planning import CostPlan
from steward.verdicts import NotVerified, Verdict, combine

CLAIM = (
    "for every account and day that is named, each cent between the gateway's ledger at list prices and what the provider bills "
    "has a cause, but for what the rounding of the report's lines can come to; and what was not agreed is below one per cent"
)
MONTH_CLAIM = (
    "; and each cent between the cost reports of the month and the invoices is a restatement, rounding, a credit or tax"
)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NotHad(_Frozen):
    """A day of an account that this run was to read, and could not."""

    account: str
    day: dt.date
    reason: str


class DaysOutcome(_Frozen):
    """What came of reading days."""

    not_had: tuple[NotHad, ...] = ()
    untold: tuple[str, ...] = ()
    """What the register of the gateway's keys lacks: their use would look like somebody else's."""

    @classmethod
    def of_all(cls, outcomes: Iterable[DaysOutcome]) -> DaysOutcome:
        """Together; what several say of the register is said once."""
        every = list(outcomes)
        return cls(
            not_had=tuple(lacking for each in every for lacking in each.not_had),
            untold=tuple(dict.fromkeys(sentence for each in every for sentence in each.untold)),
        )


class StatedPeriod(_Frozen):
    """A statement as it was made and kept."""

    period: Period
    verdict: Verdict
    ledger: str | None
    """Dollars, as texts; None where the statement is UNKNOWN."""
    billed: str | None
    payable: str | None
    variance: str | None
    unexplained: str | None
    bound: str | None
    causes: dict[str, str]
    findings: tuple[str, ...]
    statement: StoredObject
    days: dict[str, str]
    """By `ACCOUNT DAY READING`, the SHA-256 of what the day came to."""
    invoices: dict[str, str] = {}
    """By account, the SHA-256 of its invoice."""
    focus: tuple[StoredObject, ...] = ()
    """CSV and parquet; none where the statement is UNKNOWN."""


class BudgetsWatched(_Frozen):
    """What was decided, and how each budget stands."""

    decided: tuple[Alert | Stop, ...] = ()
    page: str = ""
    """Markdown."""
    standing: dict[str, dict[str, str | None]] = {}
    """By budget: limit, spent and forecast, as texts."""


class CostReport(_Frozen):
    """The run's result."""

    period: str
    subject: str
    attempt: int
    verdict: Verdict
    plan: CostPlan
    stated: tuple[StatedPeriod, ...]
    days: DaysOutcome
    budgets: BudgetsWatched
    errors: tuple[str, ...]
    """What stopped a part of it."""
    ended_at: AwareDatetime
    code: dict[str, str | bool | None] = {}
    host: str = "unknown"

    @property
    def findings(self) -> tuple[str, ...]:
        """What speaks against it first."""
        return (
            *self.errors,
            *(f"{each.account} on {each.day} could not be had: {each.reason}" for each in self.days.not_had),
            *self.days.untold,
            *(f"{each.period}: {finding}" for each in self.stated for finding in each.findings),
            *self.plan.notes,
        )


class CostsNotVerified(NotVerified):
    """Costs are not explained, or could not be had."""

    def __init__(self, report: CostReport) -> None:
        first = next(iter(report.findings), "nothing was stated")
        super().__init__(
            f"costs of {report.subject} are {report.verdict}: {first}",
            hint="read the run's artifact ai-costs and docs/runbooks/cost-reconciliation.md",
            verdict=report.verdict,
            report=report,
        )


def verdict_on(
    plan: CostPlan, stated: Iterable[StatedPeriod], not_had: Iterable[NotHad], errors: Iterable[str]
) -> Verdict:
    """UNKNOWN where anything that was to be read or stated is missing, and where there was nothing to state."""
    found = [each.verdict for each in stated]
    if any(True for _ in (*not_had, *errors)) or len(found) < len(plan.periods):
        found.append(Verdict.UNKNOWN)
    return combine(found)
