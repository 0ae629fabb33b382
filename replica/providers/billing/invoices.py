"""The invoice of an account's month: what no provider's API tells. Tax and credits stand below the lines.

Each line is rounded to cents, half up; the subtotal is the sum of the rounded lines; credits lower it, never below nothing;
tax is on what is left.
"""

from __future__ import annotations

import datetime as dt
import re
import sqlite3
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from replica.providers.billing.lines import Line, lines
from replica.providers.billing.prices import Prices
from replica.providers.billing.usage import Source
from replica.providers.configuration import Account
from replica.providers.errors import Refusal

_CENT = Decimal("0.01")


def invoice(
    prices: Prices, source: Source, account: Account, month: str, credits_granted: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """JSON with amounts as strings of dollars and cents. *month*: YYYY-MM."""
    start, end = bounds(month)
    rows = _rows(lines(source.usage(account.name, start, end), prices))
    subtotal = sum((Decimal(row["amount"]) for row in rows), Decimal(0))
    given = [
        {"description": each["description"], "amount": str(cents(-abs(Decimal(each["amount"]))))}
        for each in credits_granted
    ]
    credit = max(-subtotal, sum((Decimal(each["amount"]) for each in given), Decimal(0)))
    taxed = subtotal + credit
    tax = cents(taxed * prices.tax_rate)
    return {
        "invoice_id": f"{account.provider}-{account.organization}-{month}",
        "issuer": account.provider,
        "organization": account.organization,
        "period_start": _moment(start),
        "period_end": _moment(end),
        "currency": "USD",
        "lines": rows,
        "subtotal": str(subtotal),
        "credits": given,
        "credits_applied": str(credit),
        "tax_rate": str(prices.tax_rate),
        "tax": str(tax),
        "total": str(taxed + tax),
    }


def bounds(month: str) -> tuple[int, int]:
    """[start, end) of YYYY-MM in Unix time, UTC; Refusal 400 otherwise."""
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
        raise Refusal(400, f"{month[:20]!r} is no month: expected YYYY-MM")
    year, number = int(month[:4]), int(month[5:])
    start = dt.datetime(year, number, 1, tzinfo=dt.UTC)
    end = dt.datetime(year + number // 12, number % 12 + 1, 1, tzinfo=dt.UTC)
    return int(start.timestamp()), int(end.timestamp())


def grant(database: sqlite3.Connection, told: Mapping[str, Any]) -> None:
    """A credit on an account's month: provider, account, month, description, amount (dollars, as a string)."""
    names = ("provider", "account", "month", "description", "amount")
    if set(told) != set(names):
        raise Refusal(400, f"a credit takes {', '.join(names)}")
    bounds(str(told["month"]))
    try:
        Decimal(str(told["amount"]))
    except ArithmeticError:
        raise Refusal(400, "amount is no number of dollars") from None
    database.execute(
        "INSERT INTO credits (provider, account, month, description, amount) VALUES (?, ?, ?, ?, ?)",
        [str(told[name]) for name in names],
    )


def credits_of(database: sqlite3.Connection, account: str, month: str) -> list[dict[str, Any]]:
    """What was granted."""
    rows = database.execute(
        "SELECT description, amount FROM credits WHERE account = ? AND month = ? ORDER BY id", (account, month)
    )
    return [dict(row) for row in rows]


def cents(amount: Decimal) -> Decimal:
    """Half up."""
    return amount.quantize(_CENT, ROUND_HALF_UP)


def _rows(found: Sequence[Line]) -> list[dict[str, Any]]:
    """By project, model, tier, context and class, over the whole month."""
    sums: dict[tuple[str, str, str, bool, str], Line] = {}
    for line in found:
        kind = line.kind
        key = (kind.project, kind.model, kind.tier, kind.long_context, kind.token_class)
        total = sums.setdefault(key, Line(kind))
        total.quantity += line.quantity
        total.amount += line.amount
    return [
        {
            "project": project,
            "model": model,
            "service_tier": tier,
            # Out of SQLite it comes as a number.
            "long_context": bool(long_context),
            "class": token_class,
            "quantity": line.quantity,
            "amount": str(cents(line.amount)),
        }
        for (project, model, tier, long_context, token_class), line in sorted(sums.items())
    ]


def _moment(unix: int) -> str:
    return dt.datetime.fromtimestamp(unix, dt.UTC).isoformat().replace("+00:00", "Z")
