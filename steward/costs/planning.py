"""What a run of the reconciliation reads and states: what is due today, or what somebody asks for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from steward.costs.kept import ALL, Label
from steward.costs.period import Period
from steward.errors import BadInput

#: Days after which a provider is asked, by the name of the reading. None promises that it has finished.
DUE = {"T+1": 1, "T+3": 3, "T+35": 35}
#: After so many days what is not stated is missing.
FINAL_AFTER_DAYS = 35
MANUAL, MONTHLY = "manual", "month"
LAST = "last"
_MOST_DAYS = 100


class RequestInvalid(BadInput):
    """What is asked for cannot be reconciled: nothing was read."""


class ReconciliationRequest(BaseModel):
    """Empty: what is due today."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="Reconciliation of AI costs")

    accounts: tuple[str, ...] = Field(
        default=(), title="Accounts", description="Empty: every account of which the settings have an admin key."
    )
    first: dt.date | None = Field(default=None, title="First day", description="Of a period beside the schedule (UTC).")
    last: dt.date | None = Field(default=None, title="Last day", description="Included.")
    month: str = Field(
        default="",
        title="Month against its invoices",
        description="YYYY-MM, or `last` for the month before. Days that are known already are not read again.",
        pattern=r"^(last|[1-9]\d{3}-(0[1-9]|1[0-2]))?$",
    )
    reading: str = Field(
        default="",
        title="Name of the reading",
        description="A day is read once under each name. Empty: `manual`, or `month`.",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9+._-]{0,39})?$",
    )
    label: str = Field(
        default="",
        title="Label",
        description="Empty: the run that belongs to what is asked for. Else one beside it, e.g. after-repair.",
        pattern="^[a-z0-9-]{0,40}$",
    )
    days_a_run: int = Field(
        default=8,
        title="Days a run",
        description="Runs of reconcile-days are made of so many days of an account; any worker takes them.",
        ge=1,
        le=31,
    )

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        if (self.first is None) != (self.last is None):
            msg = "a period has a first and a last day: give both"
            raise ValueError(msg)
        if self.month and self.first:
            msg = "either a month against its invoices or a period, and not both"
            raise ValueError(msg)
        return self

    def month_on(self, today: dt.date) -> str:
        """The month that is asked for, as YYYY-MM; empty: none is."""
        return f"{today.replace(day=1) - dt.timedelta(days=1):%Y-%m}" if self.month == LAST else self.month

    @property
    def subject(self) -> str:
        """What it is of. Two runs of one subject exclude each other."""
        if not self.month and not self.first:
            return f"{self._accounts} due"
        # Another reading of the same days is another thing.
        named = f" {self.reading}" if self.reading else ""
        return f"{self._accounts} {self.month or f'{self.first}..{self.last}'}{named}"

    @property
    def _accounts(self) -> str:
        return ",".join(self.accounts) or "all"


class DaysRequest(BaseModel):
    """Days of one account, to be read under one name."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="Days of AI costs")

    account: str = Field(title="Account", description="As the settings name it.")
    days: tuple[dt.date, ...] = Field(
        title="Days", description="UTC, in order, all of them over.", min_length=1, max_length=31
    )
    reading: Label = Field(
        title="Name of the reading",
        description="A day is read once under each name; under a known one its pages are taken.",
    )
    final: bool = Field(title="Final", description="The provider has had its time: what is not stated now is missing.")

    @property
    def subject(self) -> str:
        """What it is of."""
        return f"{self.account} {self.days[0]}..{self.days[-1]} {self.reading}"


class CostPlan(BaseModel):
    """What a run does."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    started_at: AwareDatetime
    providers: dict[str, str]
    """By account, in order."""
    periods: tuple[Period, ...]
    """Each gets a statement."""
    against_invoices: bool
    partitions: tuple[DaysRequest, ...]
    notes: tuple[str, ...] = ()
    """What is not done, and why."""

    @property
    def accounts(self) -> tuple[str, ...]:
        return tuple(self.providers)

    @property
    def subject(self) -> str:
        """Whose statements they are."""
        return next(iter(self.providers)) if len(self.providers) == 1 else ALL


def plan_costs(
    request: ReconciliationRequest,
    providers: Mapping[str, str],
    now: dt.datetime,
    today: dt.date,
    *,
    since: dt.date | None,
    known: Collection[tuple[str, dt.date]] = (),
) -> CostPlan:
    """The plan of *request*.

    Args:
        request: As it came.
        providers: By account, of those that can be asked for costs.
        now: When the run began.
        today: The UTC date that it is of: a run that starts late keeps its day.
        since: The first day of the ledger; None: it has none yet.
        known: Of a month, the accounts' days that came to something already.

    Raises RequestInvalid.
    """
    chosen = _chosen(request.accounts, providers)
    if request.month or request.first:
        period = Period.of_month(request.month_on(today)) if request.month else _period(request)
        _require_over(period, today)
        reading = request.reading or (MONTHLY if request.month else MANUAL)
        partitions = [
            DaysRequest(account=account, days=days, reading=reading, final=final)
            for account in chosen
            for final, days in _groups(_unknown(period, account, known), today, request)
        ]
        return CostPlan(
            started_at=now,
            providers=chosen,
            periods=(period,),
            against_invoices=bool(request.month),
            partitions=tuple(partitions),
        )
    due = {name: today - dt.timedelta(days=age) for name, age in DUE.items()}
    asked = {name: day for name, day in due.items() if since is not None and day >= since}
    notes = [f"{name} of {day}: the ledger begins later" for name, day in due.items() if name not in asked]
    return CostPlan(
        started_at=now,
        providers=chosen,
        periods=tuple(Period(first=day, last=day) for day in asked.values()),
        against_invoices=False,
        partitions=tuple(
            DaysRequest(account=account, days=(day,), reading=name, final=DUE[name] >= FINAL_AFTER_DAYS)
            for name, day in asked.items()
            for account in chosen
        ),
        notes=tuple(notes),
    )


def _chosen(asked: Sequence[str], providers: Mapping[str, str]) -> dict[str, str]:
    if not providers:
        raise RequestInvalid(
            "no account can be asked for its costs", hint="give [providers.NAME] an admin_key; see docs/settings.md"
        )
    if strange := [each for each in asked if each not in providers]:
        raise RequestInvalid(
            f"there is no account {strange[0]} with an admin key: there are {', '.join(providers)}",
            hint="accounts are named as in [providers.NAME] of the settings",
        )
    return {account: kind for account, kind in providers.items() if not asked or account in asked}


def _period(request: ReconciliationRequest) -> Period:
    if request.first is None or request.last is None or request.last < request.first:
        raise RequestInvalid(
            f"a period from {request.first} to {request.last} has no day", hint="the last day is included"
        )
    period = Period(first=request.first, last=request.last)
    if len(period.days) > _MOST_DAYS:
        raise RequestInvalid(
            f"{period} has {len(period.days)} days, expected at most {_MOST_DAYS}", hint="ask for it month by month"
        )
    return period


def _require_over(period: Period, today: dt.date) -> None:
    if period.last >= today:
        raise RequestInvalid(
            f"{period} is not over: today is {today} (UTC)",
            hint="a provider states a day when it is over; take a period that ended yesterday or before",
        )


def _unknown(period: Period, account: str, known: Collection[tuple[str, dt.date]]) -> list[dt.date]:
    return [day for day in period.days if (account, day) not in known]


def _groups(
    days: Sequence[dt.date], today: dt.date, request: ReconciliationRequest
) -> Iterator[tuple[bool, tuple[dt.date, ...]]]:
    """Days that follow each other and are of one kind, so many a run."""
    group = list[dt.date]()
    for before, day in pairwise((None, *days)):
        assert day is not None  # noqa: S101  only the first is None
        new = before is None or day - before > dt.timedelta(days=1) or len(group) == request.days_a_run
        if group and (new or _is_final(day, today) != _is_final(group[0], today)):
            yield _is_final(group[0], today), tuple(group)
            group = []
        group.append(day)
    if group:
        yield _is_final(group[0], today), tuple(group)


def _is_final(day: dt.date, today: dt.date) -> bool:
    return (today - day).days >= FINAL_AFTER_DAYS
