"""What was spent on one thing, day by day: on a tenant by the ledger, on a project or a provider by the bills."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from steward.costs.money import ZERO, Money, total
from steward.costs.results import DayResult
from steward.errors import BadInput


class SpendCountedTwice(BadInput):
    """One thing has two amounts of one day."""


class Scope(StrEnum):
    """What a budget is of."""

    TENANT = "tenant"
    """By our ledger, at list prices: no bill tells tenants apart."""
    PROJECT = "project"
    """By the bills: the provider's id of a project, or workspace."""
    PROVIDER = "provider"
    """By the bills: every account there."""


class Spend(BaseModel):
    """Of one day. What is not known has no Spend: it is not one of nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scope: Scope
    name: str
    day: dt.date
    amount: Money


Daily = Mapping[tuple[Scope, str], Mapping[dt.date, Decimal]]


def daily(spends: Iterable[Spend]) -> Daily:
    """By what it was spent on. Raises SpendCountedTwice."""
    found = defaultdict[tuple[Scope, str], dict[dt.date, Decimal]](dict)
    for each in spends:
        days = found[each.scope, each.name]
        if each.day in days:
            raise SpendCountedTwice(
                f"{each.scope} {each.name} has two amounts of {each.day}", hint="add up what belongs to one day first"
            )
        days[each.day] = each.amount
    return found


def billed_spends(results: Iterable[DayResult], accounts: Mapping[str, str]) -> tuple[Spend, ...]:
    """On projects and providers, of one result an account-day. *accounts*: the provider of every account there is.

    A provider's day is known only where those of all its accounts are. A project costs nothing on a day of its account's that
    has no charge of it. Raises SpendCountedTwice.
    """
    by_day = _by_day(results)
    days = sorted({day for _, day in by_day})
    providers = _members((provider, account) for account, provider in accounts.items())
    projects = _members((charge.project, each.account) for each in by_day.values() for charge in each.charges)
    found = list[Spend]()
    for scope, groups in ((Scope.PROJECT, projects), (Scope.PROVIDER, providers)):
        for name, members in sorted(groups.items()):
            for day in days:
                parts = [by_day.get((account, day)) for account in members]
                whole = [each for each in parts if each is not None]
                if name and len(whole) == len(parts):
                    wanted = name if scope is Scope.PROJECT else None
                    found.append(Spend(scope=scope, name=name, day=day, amount=_charged(whole, wanted)))
    return tuple(found)


def ledger_spends(amounts: Mapping[tuple[str, dt.date], Decimal], days: Iterable[dt.date]) -> tuple[Spend, ...]:
    """On tenants: *amounts* by tenant and day, at list prices; *days*: those that the ledger has whole.

    A tenant without an amount on such a day spent nothing; an amount on another day counts for nothing.
    """
    known, tenants = sorted(set(days)), sorted({tenant for tenant, _ in amounts})
    return tuple(
        Spend(scope=Scope.TENANT, name=tenant, day=day, amount=amounts.get((tenant, day), ZERO))
        for tenant in tenants
        for day in known
    )


def _by_day(results: Iterable[DayResult]) -> dict[tuple[str, dt.date], DayResult]:
    found: dict[tuple[str, dt.date], DayResult] = {}
    for each in results:
        if (each.account, each.day) in found:
            raise SpendCountedTwice(
                f"{each.account} has two results of {each.day}", hint="choose one reading of each day"
            )
        found[each.account, each.day] = each
    return found


def _members(pairs: Iterable[tuple[str, str]]) -> Mapping[str, Sequence[str]]:
    found = defaultdict[str, set[str]](set)
    for name, account in pairs:
        found[name].add(account)
    return {name: sorted(accounts) for name, accounts in found.items()}


def _charged(results: Iterable[DayResult], project: str | None) -> Decimal:
    return total(
        charge.amount for each in results for charge in each.charges if project is None or charge.project == project
    )
