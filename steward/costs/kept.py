"""What is kept of costs: raw pages by reading, what a day came to, the gateway's keys, statements and alerts.

A reading is all pages of an account's day that were read at one time, under one name: `T+1`, `T+3`, `T+35`, or what a
person calls it. Amounts among figures are texts: whoever reads JSON may read its numbers as floats.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from steward.costs.budgets.spending import Scope
from steward.verdicts import Verdict

PREFIX = "ai-costs/"
#: Of a statement over all accounts.
ALL = "all"

# It is part of an object's key.
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9+._-]{0,39}$")]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def _no_float(figures: dict[str, Any] | None) -> dict[str, Any] | None:
    if _has_float(figures):
        msg = "expected amounts as texts, and counts as whole numbers: a float has lost a part of the cent"
        raise ValueError(msg)
    return figures


def _has_float(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_has_float, value.values()))  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    if isinstance(value, list | tuple):
        return any(map(_has_float, value))  # pyright: ignore[reportUnknownArgumentType]
    return isinstance(value, float)


Figures = Annotated[dict[str, Any] | None, AfterValidator(_no_float)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class RawPage:
    """A page of a report, byte by byte as the provider sent it."""

    report: str
    number: int
    """From 1."""
    body: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        """In hexadecimal."""
        return sha256(self.body).hexdigest()


class KeptPage(_Frozen):
    """A page as it lies in the bucket for evidence."""

    report: str
    number: int
    sha256: Sha256
    object_key: str
    version_id: str
    bytes: int


class Reading(_Frozen):
    """All pages that were read of an account's day at one time."""

    account: str
    day: dt.date
    reading: Label
    provider: Literal["openai", "anthropic"]
    read_at: AwareDatetime
    """By the database's clock, before the first page was asked for."""
    bucket_seconds: Literal[60, 3600] = 3600
    """By which usage was asked for."""
    pages: tuple[KeptPage, ...] = Field(min_length=1)


class StoredObject(_Frozen):
    """An object of the bucket for evidence, by what names and proves it."""

    object_key: str
    version_id: str
    sha256: Sha256


class CostDay(_Frozen):
    """What a reading of a day came to."""

    account: str
    day: dt.date
    reading: Label
    verdict: Verdict
    figures: Figures = None
    """None where it is UNKNOWN: what could not be had has no figure."""
    reason: str | None = None
    """Why it is UNKNOWN."""
    result: StoredObject | None = None
    """The whole of it."""
    operation_id: int

    @model_validator(mode="after")
    def _figures_where_known(self) -> Self:
        known = (self.figures is not None, self.result is not None, self.reason is None)
        if set(known) != {self.verdict is not Verdict.UNKNOWN}:
            msg = "expected figures and a result of a day that is known, and a reason of one that is UNKNOWN"
            raise ValueError(msg)
        return self


class RegisteredKey(_Frozen):
    """A key of the gateway's: by its fingerprint in the ledger, and by its ids at the provider."""

    account: str
    fingerprint: str
    key_id: str
    project: str
    """Empty: the provider names none."""


class Register(_Frozen):
    """The gateway's keys of an account, those that are gone at the provider too."""

    # Not `keys`: Prefect takes a result that has it for a mapping.
    registered: tuple[RegisteredKey, ...]
    untold: tuple[str, ...] = ()
    """What could not be told of the vault's versions, each in a sentence."""

    @property
    def by_fingerprint(self) -> dict[str, tuple[str, str]]:
        """By credential version of the ledger: the provider's id of the key, and of its project."""
        return {each.fingerprint: (each.key_id, each.project) for each in self.registered}

    @property
    def key_ids(self) -> frozenset[str]:
        """The provider's ids."""
        return frozenset(each.key_id for each in self.registered)


class CostStatement(_Frozen):
    """A statement of some days, as it was made once."""

    subject: str
    """An account, or ALL."""
    first_day: dt.date
    last_day: dt.date
    verdict: Verdict
    figures: Figures = None
    result: StoredObject
    operation_id: int


class BudgetAlert(_Frozen):
    """A threshold of a month's budget that was passed."""

    budget: str
    month: dt.date
    """Its first day."""
    threshold: str
    """`50`, `80`, `100` (per cent), `forecast`, or `stop`, which the gateway obeys (`clients.cost_stops`)."""
    scope: Scope
    subject: str
    """The tenant, project or provider that the budget is of."""
    limit_usd: Decimal
    amount_usd: Decimal
    """Spent; forecast, where the threshold is."""
    hard_stop: bool = False
    operation_id: int


def page_key(account: str, day: dt.date, reading: str, page: RawPage) -> str:
    """Where a page lies. Its hash is in the name, as in those below: what is locked there is never in another's way."""
    report = page.report.replace("/", "-")
    return f"{PREFIX}pages/{account}/{day}/{reading}/{report}-{page.number:03}.{page.sha256[:8]}.json"


def result_key(account: str, day: dt.date, reading: str, body: bytes) -> str:
    """Where the whole of what a day came to lies."""
    return f"{PREFIX}days/{account}/{day}/{reading}.{_short(body)}.json"


def statement_key(subject: str, first_day: dt.date, last_day: dt.date, body: bytes) -> str:
    """Where a statement lies."""
    return f"{PREFIX}statements/{subject}/{first_day}_{last_day}.{_short(body)}.json"


def focus_key(subject: str, first_day: dt.date, last_day: dt.date, suffix: str, body: bytes) -> str:
    """Where the same days lie as rows of FOCUS; *suffix*: of the file, with its dot."""
    return f"{PREFIX}focus/{subject}/{first_day}_{last_day}.{_short(body)}{suffix}"


def _short(body: bytes) -> str:
    return sha256(body).hexdigest()[:8]
