"""A statement of costs: what the ledger has of a period, what is billed, and the cause of every cent between them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from steward.costs.causes import Cause
from steward.costs.invoices import Invoice
from steward.costs.money import Money
from steward.costs.results import DayResult, Gap
from steward.errors import BadInput
from steward.verdicts import Verdict


class StatementInvalid(BadInput):
    """What a statement was to be made of does not belong together; nothing is counted twice, or left out in silence."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Period(_Value):
    """Whole UTC days, the last one included."""

    first: dt.date
    last: dt.date

    @classmethod
    def of_month(cls, month: str) -> Self:
        """Of `YYYY-MM`."""
        raise NotImplementedError

    @property
    def month(self) -> str | None:
        """`YYYY-MM`, where it is just one."""
        raise NotImplementedError

    @property
    def days(self) -> tuple[dt.date, ...]:
        raise NotImplementedError


class CauseAmount(_Value):
    """What a cause comes to over the whole statement."""

    cause: Cause
    agreed: bool
    """By the terms: set apart from the variance. So are tax and credits."""
    amount: Money
    shares: int
    """How many."""
    evidence: str
    """Of the largest share."""


class DayFigures(_Value):
    """All accounts of the statement on one day."""

    day: dt.date
    ledger: Money
    billed: Money
    unexplained: Money
    bound: Money


class AccountFigures(_Value):
    """One account over the whole period. ledger + causes + unexplained = payable, or billed where there is no invoice."""

    account: str
    verdict: Verdict
    ledger: Money
    billed: Money
    payable: Money | None
    variance: Money
    unexplained: Money
    unexplained_daily: Money
    """Each day's without its sign: days cannot make up for each other. This is held against the bound."""
    bound: Money


class Figures(_Value):
    """ledger + all causes + unexplained = payable (with an invoice) or billed (without), exactly."""

    ledger: Money
    """At list prices."""
    billed: Money
    """Before tax and credits: the invoice's lines, or the cost reports' where there is no invoice."""
    payable: Money | None
    """What has to be paid; None: no invoice was given."""
    causes: tuple[CauseAmount, ...]
    """In the order of Cause; those that are nothing are left out."""
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


class Statement(_Value):
    """Of one account or several. UNKNOWN where anything is missing: it then has no figure at all."""

    form: Literal[1] = 1
    period: Period
    accounts: tuple[str, ...]
    verdict: Verdict
    figures: Figures | None
    """None just where the verdict is UNKNOWN."""
    gaps: tuple[Gap, ...]
    findings: tuple[str, ...]
    """In plain words, the largest first."""
    provisional: int
    """Account-days that the provider may still state otherwise."""
    readings: tuple[str, ...]
    """ACCOUNT DAY READING of every day that counts."""


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
    raise NotImplementedError
