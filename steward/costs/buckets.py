"""Pages of a provider's report as one row of buckets: each there once, in order, without a gap."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

from steward.costs.errors import PageUnusable

Json = Mapping[str, Any]
_HINT = "read the report again; if it stays so, compare it with the provider's reference of the report"


def read_page(body: bytes, report: str) -> Json:
    """A raw page. Numbers with a point are Decimal: a float has lost a part of the cent before anybody looks."""
    try:
        told: object = json.loads(body, parse_float=Decimal)
    except ValueError as error:
        raise PageUnusable(f"a page of {report} is no JSON: {error}", hint=_HINT) from None
    page = cast("Json", told) if isinstance(told, dict) else {}
    if not isinstance(page.get("data"), list):
        raise PageUnusable(f"a page of {report} has no list of buckets (data)", hint=_HINT)
    return page


def buckets(pages: Sequence[Json], report: str, begins: Sequence[int], *, start: str) -> Iterator[tuple[int, Json]]:
    """(begin, result) of every result; *begins*: of the buckets that were asked for, in Unix time.

    Raises PageUnusable where pages end before their end, or a bucket is missing, is there twice or was not asked for.
    """
    if not pages or pages[-1].get("has_more"):
        raise PageUnusable(f"{report} ends in the middle: its last page says that there are more", hint=_HINT)
    found = [(_begin(bucket, report, start), bucket) for page in pages for bucket in _list(page, "data", report)]
    if (told := [begin for begin, _ in found]) != list(begins):
        raise PageUnusable(f"{report} has {_difference(told, begins)}", hint=_HINT)
    for begin, bucket in found:
        for result in _list(bucket, "results", report):
            yield begin, result


def count(result: Json, name: str, report: str) -> int:
    """A figure that must be there: what is missing is not zero."""
    value = result.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise PageUnusable(f"{report}: {name} is {value!r}, expected a count", hint=_HINT)
    return value


def name(result: Json, member: str, report: str) -> str:
    """A text that must be there: what a report does not tell apart cannot be compared."""
    value = result.get(member)
    if not isinstance(value, str) or not value:
        raise PageUnusable(
            f"{report}: {member} is {value!r}, expected a name", hint="the report has to be asked for by groups"
        )
    return value


def dollars(value: object, currency: object, report: str) -> Decimal:
    """An amount in US dollars."""
    if not isinstance(currency, str) or currency.upper() != "USD":
        raise PageUnusable(
            f"{report} is in {currency!r}, expected US dollars", hint="list prices are in dollars: nothing is converted"
        )
    try:
        amount = Decimal(value) if isinstance(value, str | int | Decimal) else None
    except ArithmeticError:
        amount = None
    if amount is None or not amount.is_finite():
        raise PageUnusable(f"{report}: an amount is {value!r}, expected a number", hint=_HINT)
    return amount


def _list(told: Json, member: str, report: str) -> Iterable[Json]:
    found = told.get(member)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in cast("list[object]", found)):
        raise PageUnusable(f"a page of {report} has no list of {member}", hint=_HINT)
    return cast("list[Json]", found)


def _begin(bucket: Json, report: str, start: str) -> int:
    value = bucket.get(start)
    if isinstance(value, str):
        try:
            return int(dt.datetime.fromisoformat(value).timestamp())
        except ValueError:
            value = None
    if not isinstance(value, int):
        raise PageUnusable(f"a bucket of {report} has no {start}", hint=_HINT)
    return value


def _difference(told: Sequence[int], wanted: Sequence[int]) -> str:
    if twice := next((each for each in told if told.count(each) > 1), None):
        return f"the bucket that begins at {twice} twice"
    if missing := next((each for each in wanted if each not in told), None):
        return f"no bucket that begins at {missing}: {len(told)} of {len(wanted)} are there"
    return f"{len(told)} buckets, expected {len(wanted)} in order"
