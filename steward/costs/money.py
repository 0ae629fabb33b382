"""Dollars as values: exact sums, and texts that a float never touched."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from decimal import ROUND_HALF_UP, Decimal, Inexact, localcontext
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

#: More digits than any sum of amounts within the bounds below has, and than any product of two.
_DIGITS = 300
#: Digits before the point as in DECIMAL(38,12); behind it as many as a division in `attribution` leaves, and more.
_WHOLE, _FRACTION = 26, 100
CENT = Decimal("0.01")
ZERO = Decimal(0)


def _no_float(value: object) -> object:
    if isinstance(value, float | bool):
        msg = "an amount of money is written as a text: a number of JSON has been a float"
        raise ValueError(msg)  # noqa: TRY004  pydantic turns a ValueError into its own
    return value


def _bounded(amount: Decimal) -> Decimal:
    if not is_amount(amount):
        msg = "an amount of more digits than money has"
        raise ValueError(msg)
    return amount


def is_amount(number: Decimal) -> bool:
    """Whether it is a number, and none that would need endless digits to be added to another."""
    exponent = number.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -_FRACTION and number.adjusted() < _WHOLE


#: Dollars. Strings in JSON, digit for digit.
Money = Annotated[Decimal, BeforeValidator(_no_float), AfterValidator(_bounded)]


@contextmanager
def exactly() -> Generator[None]:
    """Sums and products in which nothing is rounded: what would be raises decimal.Inexact."""
    with localcontext() as context:
        context.prec = _DIGITS
        context.traps[Inexact] = True
        yield


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Their sum, exactly."""
    with exactly():
        return sum(amounts, ZERO)


def less(amount: Decimal, *others: Decimal) -> Decimal:
    """*amount* without *others*, exactly."""
    with exactly():
        return amount - sum(others, ZERO)


def cents(amount: Decimal) -> Decimal:
    """Half up, as invoices round."""
    with localcontext() as context:
        context.prec = _DIGITS
        return amount.quantize(CENT, ROUND_HALF_UP)


def shown(amount: Decimal) -> str:
    """For people: `$1,234.50`. Below half a cent as much as tells that it is not nothing: `$0.0004`."""
    sign, size = ("-" if amount < 0 else ""), abs(amount)
    if not size or size >= CENT / 2:
        text = f"{cents(size):,.2f}"
    else:
        with localcontext() as context:
            context.prec = 1
            text = f"{+size:f}"
    # Finer than reports and prices are: dust of a division.
    return f"{sign}${text}" if len(text) <= len("0.") + 12 else f"{sign}$0.00"


def signed(amount: Decimal) -> str:
    """As `shown`, with its sign before it: `+$1.20`."""
    text = shown(amount)
    return text if text.startswith("-") or text == "$0.00" else f"+{text}"


def share_of(part: Decimal, whole: Decimal, *, sign: bool = False) -> str:
    """For people: `12.50 %`, `under 0.01 %`; empty where there is nothing to be a share of."""
    if not part or not whole:
        return "" if part else "0 %"
    percent = 100 * part / abs(whole)
    mark = "-" if part < 0 else "+" if sign else ""
    return f"{mark}{abs(percent):,.2f} %" if abs(percent) >= CENT / 2 else f"under {mark}0.01 %"
