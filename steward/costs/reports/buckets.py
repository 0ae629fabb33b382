"""Pages of a provider's report as one row of buckets: each there once, in order, without a gap."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

from steward.costs.cells import DAY
from steward.costs.errors import PageUnusable

Json = Mapping[str, Any]
_SHOWN = 60
#: As many as Decimal keeps.
_MOST_DIGITS = 28
_HINT = "read the report again; if it stays so, compare it with the provider's reference of the report"


def read_page(body: bytes, report: str) -> Json:
    """A raw page. Numbers with a point are Decimal: a float has lost a part of the cent before anybody looks."""
    try:
        told: object = json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise PageUnusable(f"a page of {report} is no JSON: {error}", hint=_HINT) from None
    page = cast("Json", told) if isinstance(told, dict) else {}
    if not isinstance(page.get("data"), list):
        raise PageUnusable(f"a page of {report} has no list of buckets (data)", hint=_HINT)
    return page


def buckets(
    pages: Sequence[Json], report: str, begins: Sequence[int], *, start: str, end: str
) -> Iterator[tuple[int, Json]]:
    """(begin, result) of every result; *begins*: of the buckets that were asked for, in Unix time, one after the other.

    Raises PageUnusable where pages end before their end or go on after it, or a bucket is missing, is there twice, was not
    asked for, or overlaps the next one.
    """
    if not pages or pages[-1].get("has_more") is not False:
        raise PageUnusable(f"{report} ends in the middle: its last page says that there are more", hint=_HINT)
    if not all(page.get("has_more") is True for page in pages[:-1]):
        raise PageUnusable(f"{report} goes on after a page that says that it is the last", hint=_HINT)
    found = [(_moment(bucket, report, start), bucket) for page in pages for bucket in _list(page, "data", report)]
    if (told := [begin for begin, _ in found]) != list(begins):
        raise PageUnusable(f"{report} has {_difference(told, begins)}", hint=_HINT)
    width = begins[1] - begins[0] if len(begins) > 1 else DAY
    for begin, bucket in found:
        if (ends := _moment(bucket, report, end)) != begin + width:
            raise PageUnusable(
                f"{report}: the bucket that begins at {begin} ends at {ends}, expected {begin + width}", hint=_HINT
            )
        for result in _list(bucket, "results", report):
            yield begin, result


def count(result: Json, name: str, report: str) -> int:
    """A figure that must be there: what is missing is not zero."""
    value = result.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise PageUnusable(f"{report}: {name} is {_shown(value)}, expected a count", hint=_HINT)
    return value


def name(result: Json, member: str, report: str) -> str:
    """A text that must be there: what a report does not tell apart cannot be compared."""
    value = result.get(member)
    if not isinstance(value, str) or not value:
        raise PageUnusable(
            f"{report}: {member} is {_shown(value)}, expected a name", hint="the report has to be asked for by groups"
        )
    return value


def name_or_none(result: Json, member: str, report: str) -> str:
    """A text that may be null, which becomes empty: the default workspace has no id, and neither has use without a key."""
    return "" if member in result and result[member] is None else name(result, member, report)


def part(result: Json, member: str, report: str) -> Json:
    """An object that must be there."""
    value = result.get(member)
    if not isinstance(value, dict):
        raise PageUnusable(f"{report}: {member} is {_shown(value)}, expected an object", hint=_HINT)
    return cast("Json", value)


def one_of(result: Json, member: str, known: Mapping[str, str], report: str) -> str:
    """What *known* calls a text that must be there."""
    value = name(result, member, report)
    if value not in known:
        raise PageUnusable(
            f"{report}: {member} is {_shown(value)}, expected one of {', '.join(sorted(known))}",
            hint="the provider has a new one: compare its reference, and what it is billed at",
        )
    return known[value]


def dollars(value: object, currency: object, report: str) -> Decimal:
    """An amount in US dollars."""
    if not isinstance(currency, str) or currency.upper() != "USD":
        raise PageUnusable(
            f"{report} is in {_shown(currency)}, expected US dollars",
            hint="list prices are in dollars: nothing is converted",
        )
    try:
        amount = Decimal(value) if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else None
    except ArithmeticError:
        amount = None
    if amount is None or not _is_exact(amount):
        raise PageUnusable(f"{report}: an amount is {_shown(value)}, expected a number", hint=_HINT)
    return amount


def _is_exact(amount: Decimal) -> bool:
    """Whether it stays what it is where it is added up: a figure of a hundred digits is no amount of anything."""
    if not amount.is_finite():
        return False
    told = amount.as_tuple()
    return len(told.digits) <= _MOST_DIGITS and -_MOST_DIGITS <= int(told.exponent) <= _MOST_DIGITS


def _list(told: Json, member: str, report: str) -> Iterable[Json]:
    found = told.get(member)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in cast("list[object]", found)):
        raise PageUnusable(f"a page of {report} has no list of {member}", hint=_HINT)
    return cast("list[Json]", found)


def _moment(bucket: Json, report: str, member: str) -> int:
    value = bucket.get(member)
    if isinstance(value, str):
        value = _unix(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise PageUnusable(f"a bucket of {report} has no {member}", hint=_HINT)
    return value


def _unix(text: str) -> int | None:
    """Of a moment with its zone; a moment without one is anybody's."""
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return int(at.timestamp()) if at.tzinfo and not at.microsecond else None


def _shown(value: object) -> str:
    """It stands in logs: as much as names it."""
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"


def _difference(told: Sequence[int], wanted: Sequence[int]) -> str:
    if twice := next((each for each in told if told.count(each) > 1), None):
        return f"the bucket that begins at {twice} twice"
    if missing := next((each for each in wanted if each not in told), None):
        return f"no bucket that begins at {missing}: {len(told)} of {len(wanted)} are there"
    return f"{len(told)} buckets, expected {len(wanted)} in order"
