"""Days, shares and invoices typed by hand, for what statements are made of."""

import datetime as dt
import json
import xml.etree.ElementTree as ET
from decimal import Decimal, localcontext

from steward.costs.causes import Cause
from steward.costs.results import Charge, DayResult, DayShare
from steward.costs.statements.invoices import read_invoice

MONTH = "2026-10"
FIRST = dt.date(2026, 10, 1)
LAST = dt.date(2026, 10, 31)
OPENAI, ANTHROPIC = "openai-main", "anthropic-main"


def day(number):
    return dt.date(2026, 10, number)


def share(amount, cause=Cause.PAST_GATEWAY, **changes):
    members = {
        "cause": cause,
        "project": "proj_1",
        "key": "key_1",
        "model": "sol",
        "tier": "default",
        "context": "base",
        "item": "output",
        "quantity": 0,
        "amount": Decimal(amount),
        "evidence": f"because of {cause}",
        "hour": None,
        "agreed": False,
    }
    return DayShare(**(members | changes))


def charge(amount, **changes):
    members = {
        "project": "proj_1",
        "key": None,
        "model": "sol",
        "tier": "default",
        "context": "",
        "item": "output",
        "quantity": None,
        "amount": Decimal(amount),
    }
    return Charge(**(members | changes))


def result(at=FIRST, *, ledger="10", billed=None, shares=(), charges=None, account=OPENAI, **changes):
    """Billed as the ledger and the shares have it, unless *billed* or *charges* say otherwise."""
    with localcontext() as context:
        context.prec = 150
        if charges is None:
            whole = Decimal(billed) if billed is not None else Decimal(ledger) + sum(each.amount for each in shares)
            charges = [charge(whole)]
        charged = sum((each.amount for each in charges), Decimal(0))
    members = {
        "account": account,
        "provider": account.split("-", maxsplit=1)[0],
        "day": at,
        "reading": "T+35",
        "read_at": dt.datetime(2026, 12, 5, 6, tzinfo=dt.UTC),
        "final": True,
        "pages": ("a" * 64,),
        "prices": "book 1",
        "ledger": Decimal(ledger),
        "billed": charged,
        "shares": tuple(shares),
        "left": (),
        "charges": tuple(charges),
        "bound": Decimal("0.000001"),
    }
    return DayResult(**(members | changes))


def month(changed=None, **common):
    """A whole month of one account; *changed*: other results, by the day's number."""
    days = {number: result(day(number), **common) for number in range(1, 32)}
    return list((days | (changed or {})).values())


def line(amount, **changes):
    members = {
        "project": "proj_1",
        "model": "sol",
        "service_tier": "default",
        "long_context": False,
        "class": "output",
        "quantity": 1,
        "amount": amount,
    }
    return members | changes


def invoice_json(lines, *, granted="0.00", applied="0.00", tax_rate="0", tax="0.00", issuer="openai", **changes):
    """As a provider exports it. Sums in whole cents, typed as integers."""
    subtotal = sum(_cents(each["amount"]) for each in lines)
    due = subtotal + _cents(applied) + _cents(tax)
    members = {
        "invoice_id": f"{issuer}-org-2026-10",
        "issuer": issuer,
        "organization": "org",
        "period_start": "2026-10-01T00:00:00Z",
        "period_end": "2026-11-01T00:00:00Z",
        "currency": "USD",
        "lines": list(lines),
        "subtotal": dollars(subtotal),
        "credits": [{"description": "Promotional credit", "amount": granted}] if granted != "0.00" else [],
        "credits_applied": applied,
        "tax_rate": tax_rate,
        "tax": tax,
        "total": dollars(due),
    }
    return json.dumps(members | changes).encode()


def invoice(lines, *, account=OPENAI, **changes):
    issuer = account.split("-", maxsplit=1)[0]
    body = invoice_json(lines, issuer=issuer, **changes)
    return read_invoice(body, account=account, provider=issuer, month=MONTH)


def _cents(amount):
    sign, digits = (-1 if amount.startswith("-") else 1), amount.lstrip("-")
    whole, _, rest = digits.partition(".")
    return sign * (int(whole) * 100 + int(rest or 0))


def dollars(cents):
    """A whole number of cents as a text of dollars."""
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"


def parsed(picture):
    return ET.fromstring(picture.encode("utf-8", "strict"))  # noqa: S314  our own
