"""A statement of costs: what the ledger has of a period, what is billed, and the cause of every cent between them."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from steward.costs.period import Period
from steward.costs.results import DayResult, Gap
from steward.costs.statements.figures import AccountMonth, Figures, figures
from steward.costs.statements.findings import findings, gap_findings
from steward.costs.statements.invoices import Invoice
from steward.costs.statements.settlement import settle
from steward.errors import BadInput
from steward.verdicts import Verdict, combine


class StatementInvalid(BadInput):
    """What a statement was to be made of does not belong together: nothing is counted twice, or left out in silence."""


class StatementUnusable(BadInput):
    """A stored statement is not what it ought to be."""


class Statement(BaseModel):
    """Of one account or several. UNKNOWN where anything is missing: it then has no figure at all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: Literal[1] = 1
    period: Period
    accounts: tuple[str, ...]
    verdict: Verdict
    figures: Figures | None
    """None just where the verdict is UNKNOWN."""
    gaps: tuple[Gap, ...]
    findings: tuple[str, ...]
    """In plain words: what speaks against it, the largest causes, what is left."""
    provisional: int
    """Account-days of which the provider may still state something else."""
    readings: tuple[str, ...]
    """`ACCOUNT DAY READING` of every day that counts."""
    prices: tuple[str, ...]
    """Versions of the book of prices."""

    @model_validator(mode="after")
    def _no_figure_where_unknown(self) -> Self:
        if (self.verdict is Verdict.UNKNOWN) != (self.figures is None):
            msg = f"a statement that is {self.verdict} {'lacks' if self.figures is None else 'has'} figures"
            raise ValueError(msg)
        return self

    def to_json(self) -> bytes:
        """The same bytes for the same statement."""
        return self.model_dump_json().encode()

    @classmethod
    def from_json(cls, body: bytes) -> Self:
        """Raises StatementUnusable."""
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            raise StatementUnusable(
                f"a stored statement cannot be read: {error.errors()[0]['msg']}",
                hint="compare the object's SHA-256 with the one that was entered; state the period again",
            ) from None


def state(
    period: Period,
    accounts: Sequence[str],
    results: Iterable[DayResult],
    *,
    gaps: Iterable[Gap] = (),
    invoices: Iterable[Invoice] = (),
    earlier: Iterable[DayResult] = (),
) -> Statement:
    """The statement of *accounts*. A day without a result is a gap, whether or not *gaps* says why.

    *invoices*: for a month; then each account needs one. *earlier*: other readings of the same days: only they prove that
    an invoice differs because the provider has changed its statement. Raises StatementInvalid for two results of one
    account-day, and for what is of no account or day of the statement.
    """
    material = _Material(period, tuple(accounts), list(results), list(gaps), _by_account(invoices), list(earlier))
    _check_scope(material)
    _check_once(material)
    if missing := material.missing():
        return _statement(material, Verdict.UNKNOWN, None, gap_findings(missing))
    parts = [_part(material, account) for account in accounts]
    summed = figures(parts)
    verdict = combine(each.verdict for each in summed.accounts)
    return _statement(material, verdict, summed, findings(parts, summed.accounts))


@dataclass(frozen=True, slots=True)
class _Material:
    """What a statement is made of."""

    period: Period
    accounts: tuple[str, ...]
    results: list[DayResult]
    gaps: list[Gap]
    invoices: Mapping[str, Invoice]
    earlier: list[DayResult]

    def missing(self) -> tuple[Gap, ...]:
        """Those that were told, and those that nobody told."""
        told = {(gap.account, gap.day) for gap in self.gaps}
        there = {(each.account, each.day) for each in self.results}
        wanted = [(account, day) for account in self.accounts for day in self.period.days]
        unsaid = [
            Gap(account=account, day=day, reason="it has not been explained")
            for account, day in wanted
            if (account, day) not in there | told
        ]
        if self.invoices:
            without = [each for each in self.accounts if each not in self.invoices and (each, None) not in told]
            unsaid += [Gap(account=each, day=None, reason="it is not there") for each in without]
        return tuple(sorted([*self.gaps, *unsaid], key=lambda gap: (gap.account, gap.day or dt.date.max)))


def _statement(material: _Material, verdict: Verdict, summed: Figures | None, said: tuple[str, ...]) -> Statement:
    results = sorted(material.results, key=lambda each: (each.account, each.day))
    return Statement(
        period=material.period,
        accounts=material.accounts,
        verdict=verdict,
        figures=summed,
        gaps=material.missing(),
        findings=said,
        provisional=sum(not each.final for each in results),
        readings=tuple(f"{each.account} {each.day} {each.reading}" for each in results),
        prices=tuple(sorted({each.prices for each in results})),
    )


def _part(material: _Material, account: str) -> AccountMonth:
    results = sorted((each for each in material.results if each.account == account), key=lambda each: each.day)
    invoice = material.invoices.get(account)
    if invoice is None:
        return AccountMonth(account, results, None, (), ())
    settled = settle(invoice, results, [each for each in material.earlier if each.account == account])
    return AccountMonth(account, results, invoice, settled.shares, settled.unexplained)


def _check_scope(material: _Material) -> None:
    period = material.period
    days = [(each.account, each.day) for each in (*material.results, *material.earlier)]
    days += [(gap.account, gap.day or period.first) for gap in material.gaps]
    days += [(account, period.first) for account in material.invoices]
    if beyond := next(
        (each for each in days if each[0] not in material.accounts or not _is_within(each[1], period)), None
    ):
        raise StatementInvalid(
            f"{beyond[0]}, {beyond[1]} is not within {period} of {', '.join(material.accounts)}",
            hint="give what the statement is of, and nothing else",
        )
    if other := next((each for each in material.invoices.values() if each.month != period.month), None):
        raise StatementInvalid(
            f"the invoice of {other.account} is of {other.month}, the statement of {period}",
            hint="an invoice is held against the whole of its month",
        )


def _is_within(day: dt.date, period: Period) -> bool:
    return period.first <= day <= period.last


def _by_account(invoices: Iterable[Invoice]) -> dict[str, Invoice]:
    found: dict[str, Invoice] = {}
    for each in invoices:
        if each.account in found:
            raise StatementInvalid(
                f"{each.account} has two invoices: {found[each.account].number} and {each.number}",
                hint="one invoice an account and month",
            )
        found[each.account] = each
    return found


def _check_once(material: _Material) -> None:
    if not material.accounts or len(set(material.accounts)) != len(material.accounts):
        raise StatementInvalid(
            f"a statement of {', '.join(material.accounts) or 'no account'}", hint="name each account, once"
        )
    days = Counter((each.account, each.day) for each in material.results)
    if twice := next((key for key, count in days.items() if count > 1), None):
        raise StatementInvalid(
            f"{twice[0]} has two results of {twice[1]}",
            hint="choose one reading of each day: the others are `earlier` ones",
        )
