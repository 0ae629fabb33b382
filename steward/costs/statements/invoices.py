"""A provider's invoice of a month: what no API of theirs tells, and what has to be paid in the end."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from steward.costs.money import CENT, Money, cents, exactly, is_amount, less, total
from steward.errors import BadInput

#: What invoices call the classes of the ledger.
_CLASSES = {
    "input": "input_uncached",
    "cached": "input_cached",
    "cache_write_30m": "cache_write",
    "cache_write_5m": "cache_write_5m",
    "cache_write_1h": "cache_write_1h",
    "output": "output",
    "web_search": "web_searches",
}
_HINT = "have the invoice exported again: what it says is never mended here"


class InvoiceUnusable(BadInput):
    """An invoice does not add up, or is not the one that was asked for: no statement is made against it."""


def _whole_cents(amount: Decimal) -> Decimal:
    if amount != cents(amount):
        msg = f"{amount} is no amount in whole cents"
        raise ValueError(msg)
    return amount


WholeCents = Annotated[Money, AfterValidator(_whole_cents)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InvoiceLine(_Value):
    """One item of a project, over the whole month."""

    project: str
    model: str
    tier: str
    context: str
    """`base` or `long`."""
    item: str
    """One of `cells.CLASSES`, or what the provider calls the line."""
    quantity: int
    amount: WholeCents


class Invoice(_Value):
    """Of one account's month, in dollars. Whatever it says has been added up again."""

    account: str
    provider: str
    month: str
    """YYYY-MM."""
    number: str
    lines: tuple[InvoiceLine, ...]
    subtotal: WholeCents
    """Of the rounded lines."""
    credits: tuple[str, ...]
    """What each was granted for."""
    credit: WholeCents = Field(le=0)
    """As much of them as is applied."""
    tax: WholeCents
    payable: WholeCents

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if (lines := total(line.amount for line in self.lines)) != self.subtotal:
            msg = f"its lines add up to {lines}, and its subtotal is {self.subtotal}"
            raise ValueError(msg)
        if (due := total((self.subtotal, self.credit, self.tax))) != self.payable:
            msg = f"subtotal, credits and tax add up to {due}, and its total is {self.payable}"
            raise ValueError(msg)
        names = [(line.project, line.model, line.tier, line.context, line.item) for line in self.lines]
        if twice := next((name for name in names if names.count(name) > 1), None):
            msg = f"the line {' '.join(twice)} is there twice"
            raise ValueError(msg)
        return self


class _Told(BaseModel):
    """What an exported invoice has; nothing may be missing, and nothing be there that is not understood."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _ToldLine(_Told):
    project: str
    """Empty: of none, as Anthropic's default workspace is."""
    model: str
    service_tier: str
    long_context: bool
    item: str = Field(alias="class", min_length=1)
    quantity: int
    """Less than nothing where more was taken back than used."""
    amount: str


class _ToldCredit(_Told):
    description: str
    amount: str


class _ToldInvoice(_Told):
    invoice_id: str = Field(min_length=1)
    issuer: str
    organization: str
    period_start: AwareDatetime = Field(strict=False)
    period_end: AwareDatetime = Field(strict=False)
    currency: str
    lines: list[_ToldLine]
    subtotal: str
    credits: list[_ToldCredit]
    credits_applied: str
    tax_rate: str
    tax: str
    total: str


def read_invoice(body: bytes, *, account: str, provider: str, month: str) -> Invoice:
    """The invoice of *account* for *month* (YYYY-MM). Raises InvoiceUnusable."""
    subject = f"the invoice of {account} for {month}"
    told = _told(body, subject)
    _check_subject(told, subject, provider, month)
    try:
        _check_below(told)
        return Invoice(
            account=account,
            provider=provider,
            month=month,
            number=told.invoice_id,
            lines=tuple(_line(line) for line in told.lines),
            subtotal=_amount(told.subtotal),
            credits=tuple(each.description for each in told.credits),
            credit=_amount(told.credits_applied),
            tax=_amount(told.tax),
            payable=_amount(told.total),
        )
    except ValidationError as error:
        raise InvoiceUnusable(f"{subject}: {_first(error)}", hint=_HINT) from None
    except ValueError as error:
        raise InvoiceUnusable(f"{subject}: {error}", hint=_HINT) from None


def _told(body: bytes, subject: str) -> _ToldInvoice:
    try:
        # Never floats, not even on the way: an amount that is a number is refused as such.
        return _ToldInvoice.model_validate(
            json.loads(body, parse_float=Decimal, parse_constant=Decimal, object_pairs_hook=_once)
        )
    except ValidationError as error:
        raise InvoiceUnusable(f"{subject}: {_first(error)}", hint=_HINT) from None
    except (ValueError, ArithmeticError) as error:
        raise InvoiceUnusable(f"{subject} is no JSON: {error}", hint=_HINT) from None


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        msg = "a member is there twice"
        raise ValueError(msg)
    return found


def _check_subject(told: _ToldInvoice, subject: str, provider: str, month: str) -> None:
    seen = (told.issuer, told.currency, told.period_start, told.period_end)
    start = dt.datetime.fromisoformat(f"{month}-01T00:00:00+00:00")
    end = (start + dt.timedelta(days=31)).replace(day=1)
    for what, found, wanted in zip(
        ("issuer", "currency", "period_start", "period_end"), seen, (provider, "USD", start, end), strict=True
    ):
        if found != wanted:
            raise InvoiceUnusable(
                f"{subject}: its {what} is {found}, expected {wanted}",
                hint="another invoice was given; amounts are not converted from one currency to another",
            )


def _check_below(told: _ToldInvoice) -> None:
    """Credits and tax, below the lines."""
    subtotal, applied, tax = _amount(told.subtotal), _amount(told.credits_applied), _amount(told.tax)
    granted = total(_amount(each.amount) for each in told.credits)
    if not min(0, max(granted, -subtotal)) <= applied <= 0:
        msg = f"credits of {applied} are applied, of {granted} that were granted on {subtotal}"
        raise ValueError(msg)
    with exactly():
        due = (subtotal + applied) * _amount(told.tax_rate)
    if abs(less(tax, due)) > CENT / 2:
        msg = f"its tax is {tax}, and {told.tax_rate} of {less(subtotal, -applied)} is {due}"
        raise ValueError(msg)


def _line(told: _ToldLine) -> InvoiceLine:
    return InvoiceLine(
        project=told.project,
        model=told.model,
        tier=told.service_tier,
        context="long" if told.long_context else "base",
        item=_CLASSES.get(told.item, told.item),
        quantity=told.quantity,
        amount=_amount(told.amount),
    )


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except ArithmeticError:
        amount = Decimal("NaN")
    if not is_amount(amount):
        msg = f"{text!r} is no amount"
        raise ValueError(msg)
    return amount


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False)[0]
    return " ".join([*(str(each) for each in found["loc"]), found["msg"].removeprefix("Value error, ")])
