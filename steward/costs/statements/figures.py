"""The figures of a statement: sums of days, exact, and judged account by account."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import chain
from typing import NamedTuple, Self

from pydantic import BaseModel, ConfigDict, model_validator

from steward.costs.causes import Cause
from steward.costs.money import ZERO, Money, exactly, less, total
from steward.costs.results import DayResult, DayShare
from steward.costs.statements.invoices import Invoice
from steward.costs.statements.settlement import Item
from steward.verdicts import Verdict

#: Of what is billed: as much may differ from the ledger, everything that was agreed set apart.
TOLERATED_PERCENT = 1
#: Set apart from the variance. (Tax and credits are, too: they are below what is billed.)
AGREED = frozenset({Cause.DISCOUNT, Cause.COMMITMENT})
BELOW = frozenset({Cause.CREDIT, Cause.TAX})


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Found(NamedTuple):
    """A share, and where it is from."""

    account: str
    day: dt.date | None
    """None: of the whole month, from the invoice."""
    share: DayShare

    def __str__(self) -> str:
        names = (self.account, self.share.project, self.place)
        return ", ".join(each for each in names if each)

    @property
    def place(self) -> str:
        """Within its account and project."""
        share = self.share
        return ", ".join(each for each in (str(self.day or ""), share.model, share.tier, share.item) if each)


class AccountMonth(NamedTuple):
    """What is summed of one account: its days, and between them and the invoice what `settle` found."""

    account: str
    results: Sequence[DayResult]
    invoice: Invoice | None
    settled: Sequence[DayShare]
    unsettled: Sequence[tuple[Item, Decimal]]

    @property
    def found(self) -> Iterable[Found]:
        days = (Found(self.account, result.day, share) for result in self.results for share in result.shares)
        return chain(days, (Found(self.account, None, share) for share in self.settled))


class CauseAmount(_Value):
    """What a cause comes to over the whole statement."""

    cause: Cause
    agreed: bool
    """By the terms, or by law: set apart from the variance."""
    amount: Money
    shares: int
    """How many."""
    evidence: str
    """Of the largest share, and where it is."""


class DayFigures(_Value):
    """All accounts of the statement on one day."""

    day: dt.date
    ledger: Money
    billed: Money
    unexplained: Money
    unexplained_apart: Money
    """Each account's without its sign."""
    bound: Money


class AccountFigures(_Value):
    """One account over the whole period."""

    account: str
    verdict: Verdict
    ledger: Money
    billed: Money
    """The invoice's lines; without an invoice, the cost reports'."""
    payable: Money | None
    agreed: Money
    variance: Money
    unexplained: Money
    unexplained_daily: Money
    """Each day's without its sign, for days cannot make up for each other: this is held against the bound."""
    bound: Money


class Figures(_Value):
    """ledger + all causes + unexplained = payable (with invoices) or billed (without), exactly."""

    ledger: Money
    """At list prices."""
    reported: Money
    """By the cost reports."""
    billed: Money
    """Before tax and credits: the invoices' lines; without invoices, the cost reports'."""
    payable: Money | None
    """None: no invoice was given."""
    causes: tuple[CauseAmount, ...]
    """In the order of Cause."""
    agreed: Money
    """Discount and commitment, of the causes."""
    variance: Money
    """billed - ledger - agreed."""
    unexplained: Money
    """By subtraction."""
    unexplained_daily: Money
    bound: Money
    accounts: tuple[AccountFigures, ...]
    days: tuple[DayFigures, ...]

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        explained = total(chain((self.ledger, self.unexplained), (each.amount for each in self.causes)))
        if explained != self.end:
            msg = f"ledger, causes and unexplained add up to {explained}, and the statement ends at {self.end}"
            raise ValueError(msg)
        return self

    @property
    def above(self) -> tuple[CauseAmount, ...]:
        """Causes between the ledger and the bill, the largest first."""
        found = [each for each in self.causes if each.cause not in BELOW]
        return tuple(sorted(found, key=lambda each: -abs(each.amount)))

    @property
    def below(self) -> tuple[CauseAmount, ...]:
        """What stands below the lines of an invoice: credits, then tax."""
        return tuple(each for each in self.causes if each.cause in BELOW)

    @property
    def end(self) -> Decimal:
        """Where the statement ends: what has to be paid, or what is billed so far."""
        return self.billed if self.payable is None else self.payable


def figures(parts: Sequence[AccountMonth]) -> Figures:
    """Of all accounts together."""
    accounts = tuple(_account(part) for part in parts)
    causes = _causes(each for part in parts for each in part.found)
    payable = (
        None if any(each.payable is None for each in accounts) else total(each.payable or ZERO for each in accounts)
    )
    ledger, billed = total(each.ledger for each in accounts), total(each.billed for each in accounts)
    return Figures(
        ledger=ledger,
        reported=total(result.billed for part in parts for result in part.results),
        billed=billed,
        payable=payable,
        causes=causes,
        agreed=total(each.agreed for each in accounts),
        variance=total(each.variance for each in accounts),
        unexplained=less(billed if payable is None else payable, ledger, *(each.amount for each in causes)),
        unexplained_daily=total(each.unexplained_daily for each in accounts),
        bound=total(each.bound for each in accounts),
        accounts=accounts,
        days=day_figures((each for part in parts for each in part.results), [part.account for part in parts]),
    )


def _account(part: AccountMonth) -> AccountFigures:
    ledger = total(result.ledger for result in part.results)
    reported = total(result.billed for result in part.results)
    billed = part.invoice.subtotal if part.invoice else reported
    agreed = total(each.share.amount for each in part.found if each.share.agreed and each.share.cause in AGREED)
    end = part.invoice.payable if part.invoice else reported
    apart = [result.unexplained for result in part.results] + [amount for _, amount in part.unsettled]
    variance, daily = less(billed, ledger, agreed), total(abs(amount) for amount in apart)
    bound = total(result.bound for result in part.results)
    return AccountFigures(
        account=part.account,
        verdict=judge(variance, billed, daily, bound),
        ledger=ledger,
        billed=billed,
        payable=part.invoice.payable if part.invoice else None,
        agreed=agreed,
        variance=variance,
        unexplained=less(end, ledger, *(each.share.amount for each in part.found)),
        unexplained_daily=daily,
        bound=bound,
    )


def judge(variance: Decimal, billed: Decimal, unexplained_daily: Decimal, bound: Decimal) -> Verdict:
    """VERIFIED only where both hold."""
    within = is_borne(variance, billed) and unexplained_daily <= bound
    return Verdict.VERIFIED if within else Verdict.REFUTED


def is_borne(variance: Decimal, billed: Decimal) -> bool:
    """Where nothing is billed, nothing may differ."""
    with exactly():
        return not variance or abs(variance) * 100 < abs(billed) * TOLERATED_PERCENT


def _causes(found: Iterable[Found]) -> tuple[CauseAmount, ...]:
    groups = defaultdict[tuple[Cause, bool], list[Found]](list)
    for each in found:
        groups[each.share.cause, each.share.agreed].append(each)
    order = list(Cause)
    return tuple(
        _cause(cause, group, agreed=agreed)
        for (cause, agreed), group in sorted(groups.items(), key=lambda item: (order.index(item[0][0]), item[0][1]))
    )


def _cause(cause: Cause, group: Sequence[Found], *, agreed: bool) -> CauseAmount:
    largest = max(group, key=lambda each: (abs(each.share.amount), str(each)))
    return CauseAmount(
        cause=cause,
        agreed=agreed,
        amount=total(each.share.amount for each in group),
        shares=len(group),
        evidence=f"{largest.share.evidence} ({largest})",
    )


def day_figures(results: Iterable[DayResult], accounts: Sequence[str]) -> tuple[DayFigures, ...]:
    """Of the days of which each of *accounts* has a result: the others have no figure. One result an account-day."""
    groups = defaultdict[dt.date, dict[str, DayResult]](dict)
    for result in results:
        groups[result.day][result.account] = result
    return tuple(_day(day, list(groups[day].values())) for day in sorted(groups) if groups[day].keys() == set(accounts))


def _day(day: dt.date, results: Sequence[DayResult]) -> DayFigures:
    return DayFigures(
        day=day,
        ledger=total(each.ledger for each in results),
        billed=total(each.billed for each in results),
        unexplained=total(each.unexplained for each in results),
        unexplained_apart=total(abs(each.unexplained) for each in results),
        bound=total(each.bound for each in results),
    )
