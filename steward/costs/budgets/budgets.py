"""Budgets of a month: who is told what when they are used up, and what stops.

Decisions are values. Each has a key of budget, month and threshold: what was entered under it once is not decided again.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from steward.costs.budgets.forecast import Forecast, forecast
from steward.costs.budgets.spending import Daily, Scope
from steward.costs.money import ZERO, Money, exactly, shown
from steward.errors import BadInput

#: Thresholds that are no percentage.
FORECAST, STOP = "forecast", "stop"


class BudgetsUnusable(BadInput):
    """The file of budgets is not what it ought to be: none of them is watched until it is."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


Name = Annotated[str, Field(pattern=r"^[!-~]{1,200}$")]
"""As the database takes names."""


class Budget(_Value):
    """What a tenant, a project or a provider may come to in a calendar month (UTC)."""

    name: Name
    tenant: str | None = Field(default=None, min_length=1)
    project: str | None = Field(default=None, min_length=1)
    provider: str | None = Field(default=None, min_length=1)
    monthly_usd: Money = Field(gt=0)
    alerts: tuple[Annotated[int, Field(ge=1, le=1000, strict=True)], ...] = (50, 80, 100)
    """Percent, in rising order."""
    forecast_alert: bool = Field(default=True, strict=True)
    """Whether somebody is told that the month is expected to end above it."""
    hard_stop: bool = Field(default=False, strict=True)
    """Whether to stop at 100 %. Nothing stops where it is not said."""

    @model_validator(mode="after")
    def _of_one_thing(self) -> Self:
        if sum(each is not None for each in (self.tenant, self.project, self.provider)) != 1:
            msg = f"budget {self.name} is of one tenant, project or provider"
            raise ValueError(msg)
        if any(one >= other for one, other in pairwise(self.alerts)):
            msg = f"alerts of budget {self.name} are to rise: {', '.join(map(str, self.alerts))}"
            raise ValueError(msg)
        return self

    @property
    def of(self) -> tuple[Scope, str]:
        named = ((Scope.TENANT, self.tenant), (Scope.PROJECT, self.project), (Scope.PROVIDER, self.provider))
        return next((scope, name) for scope, name in named if name is not None)


class BudgetPolicy(_Value):
    """The file."""

    budgets: tuple[Budget, ...] = ()

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        names = Counter(each.name for each in self.budgets)
        if twice := next((name for name, count in names.items() if count > 1), None):
            msg = f"two budgets are named {twice}: what was told of one would count as told of the other"
            raise ValueError(msg)
        return self


class Key(NamedTuple):
    """By which a decision is entered, once."""

    budget: str
    month: str
    """YYYY-MM."""
    threshold: str
    """A percentage, `forecast` or `stop`."""


class _Decision(_Value):
    budget: str
    scope: Scope
    subject: str
    """The tenant, project or provider."""
    month: str
    threshold: str
    limit: Money
    amount: Money
    """Spent so far; of a forecast, expected."""
    sentence: str

    @property
    def key(self) -> Key:
        return Key(self.budget, self.month, self.threshold)


class Alert(_Decision):
    """Somebody is to be told."""

    kind: Literal["alert"] = "alert"


class Stop(_Decision):
    """No more is to be spent this month: the policy says so."""

    kind: Literal["stop"] = "stop"


class BudgetStatus(_Value):
    """How a budget stands."""

    budget: Budget
    forecast: Forecast

    @property
    def is_known(self) -> bool:
        """Whether there is any figure of this month: a budget of a name that nobody has is watched in vain."""
        return self.forecast.days > 0


def load_budgets(path: Path) -> BudgetPolicy:
    """The policy at *path*. Raises BudgetsUnusable."""
    try:
        return BudgetPolicy.model_validate(tomllib.loads(path.read_text(), parse_float=Decimal))
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        place = " ".join(str(each) for each in found["loc"])
        reason = f"{place} {found['msg'].removeprefix('Value error, ')}".strip()
    except (OSError, ValueError, ArithmeticError) as error:
        reason = str(error)
    raise BudgetsUnusable(
        f"{path.name} cannot be read as budgets: {reason}", hint="deployments/costs/budgets.toml shows an entry"
    )


def budget_status(policy: BudgetPolicy, spent: Daily, through: dt.date) -> tuple[BudgetStatus, ...]:
    """Every budget in the month of *through*, the last day that may be known."""
    return tuple(
        BudgetStatus(budget=each, forecast=forecast(spent.get(each.of, {}), through)) for each in policy.budgets
    )


def decide(policy: BudgetPolicy, spent: Daily, through: dt.date, entered: Collection[Key]) -> tuple[Alert | Stop, ...]:
    """What is to be told, and stopped, that is not *entered* yet.

    Of several percentages that are reached, the highest is told. Days that are not known are neither nothing nor guessed:
    what is known has to reach a threshold. Only of the forecast they are a part.
    """
    told = {Key(*each) for each in entered}
    return tuple(
        decision
        for status in budget_status(policy, spent, through)
        for decision in _decisions(status, told)
        if decision.key not in told
    )


def _decisions(status: BudgetStatus, told: Collection[Key]) -> Iterator[Alert | Stop]:
    budget, seen = status.budget, status.forecast
    known = seen.known if seen.known is not None else ZERO
    reached = [each for each in budget.alerts if _reaches(known, budget.monthly_usd, each)]
    if reached and not _is_told(budget, seen.month, reached[-1], told):
        yield Alert.model_validate(_common(status, str(reached[-1]), known))
    is_full = _reaches(known, budget.monthly_usd, 100)
    if budget.forecast_alert and not is_full and seen.expected is not None and seen.expected > budget.monthly_usd:
        yield Alert.model_validate(_common(status, FORECAST, seen.expected))
    if budget.hard_stop and is_full:
        yield Stop.model_validate(_common(status, STOP, known))


def _is_told(budget: Budget, month: str, percent: int, told: Collection[Key]) -> bool:
    """A restatement may lower what was spent: who was told of 80 % needs not hear of 50 % afterwards."""
    higher: Sequence[int] = [each for each in budget.alerts if each >= percent]
    return any(Key(budget.name, month, str(each)) in told for each in higher)


def _reaches(amount: Decimal, limit: Decimal, percent: int) -> bool:
    with exactly():
        return amount * 100 >= limit * percent


def _common(status: BudgetStatus, threshold: str, amount: Decimal) -> dict[str, object]:
    scope, subject = status.budget.of
    return {
        "budget": status.budget.name,
        "scope": scope,
        "subject": subject,
        "month": status.forecast.month,
        "threshold": threshold,
        "limit": status.budget.monthly_usd,
        "amount": amount,
        "sentence": _sentence(status, threshold, amount),
    }


def _sentence(status: BudgetStatus, threshold: str, amount: Decimal) -> str:
    seen, (scope, subject), limit = status.forecast, status.budget.of, shown(status.budget.monthly_usd)
    if threshold == FORECAST:
        between = (
            f"{shown(amount if seen.low is None else seen.low)} to {shown(amount if seen.high is None else seen.high)}"
        )
        return f"{scope} {subject} is expected to come to {shown(amount)} of {limit} in {seen.month} ({between})"
    least = "at least " if seen.unknown_days else ""
    unknown = f"; {seen.unknown_days} days are not known" if seen.unknown_days else ""
    ending = ": it is to be stopped" if threshold == STOP else f": {threshold} % are reached"
    return f"{scope} {subject} has spent {least}{shown(amount)} of {limit} in {seen.month}{unknown}{ending}"
