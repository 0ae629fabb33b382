"""Canonical JSON: one value, one sequence of bytes, so that a digest names a statement.

The bytes are those of RFC 8785 (JSON Canonicalization Scheme): no insignificant space, members sorted by the UTF-16
code units of their names, the shortest escapes, numbers as ECMAScript writes them, UTF-8. Refused is what readers do
not all keep: integers beyond ±(2^53 - 1), NaN and infinities, half surrogate pairs, and what JSON does not have.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from steward.evidence.errors import UnusableStatement

#: Largest integer that every JSON reader keeps exactly (RFC 7493, section 2.2).
LARGEST_INTEGER = 2**53 - 1
#: ECMAScript writes numbers from 1e-6 to below 1e21 without an exponent.
_LONGEST_INTEGER_DIGITS = 21
_MOST_LEADING_ZEROS = 6


def canonical_json(value: object) -> bytes:
    """*value* as canonical JSON. UnusableStatement names the member that has no canonical form."""
    return _written(value, "$").encode()


def sha256_of(value: object) -> str:
    """SHA-256 of *value*'s canonical JSON, in lower-case hex."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def strict_json(data: bytes) -> Any:
    """The one value that *data* holds; ValueError where readers could differ: a member twice, NaN, bytes not UTF-8."""
    try:
        return json.loads(data.decode(), object_pairs_hook=_without_repeats, parse_constant=_no_constant)
    except RecursionError:
        msg = "nested too deeply"
        raise ValueError(msg) from None


def _without_repeats(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        msg = "an object names a member twice"
        raise ValueError(msg)
    return found


def _no_constant(name: str) -> None:
    msg = f"{name} is not JSON"
    raise ValueError(msg)


def _written(value: object, where: str) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, int):
        return _integer(value, where)
    if isinstance(value, float):
        return _number(value, where)
    if isinstance(value, Mapping):
        return _object(value, where)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return f"[{','.join(_written(item, f'{where}[{index}]') for index, item in enumerate(value))}]"
    raise UnusableStatement(f"{where} is a {type(value).__name__}, which JSON does not have", hint="write it as text")


def _object(value: Mapping[Any, object], where: str) -> str:
    for name in value:
        if not isinstance(name, str):
            raise UnusableStatement(f"{where} has a member named {name!r}, which is not text", hint="name it in text")
    # Written first, which refuses what UTF-16 does not have.
    written = {name: _text(name, where) for name in value}
    names: list[str] = sorted(value, key=lambda name: name.encode("utf-16-be"))
    members = (f"{written[name]}:{_written(value[name], f'{where}.{name}')}" for name in names)
    return f"{{{','.join(members)}}}"


def _integer(value: int, where: str) -> str:
    if abs(value) > LARGEST_INTEGER:
        raise UnusableStatement(f"{where} is {value}, beyond ±(2^53 - 1)", hint="write it as text, or in a larger unit")
    return str(int(value))


def _number(value: float, where: str) -> str:
    """As ECMAScript's Number::toString (ECMA-262, section 6.1.6.1.20), which RFC 8785 prescribes."""
    if not math.isfinite(value):
        raise UnusableStatement(f"{where} is {value}, which JSON does not have", hint="what was not measured is null")
    if value == 0:
        return "0"
    # Python's repr has the shortest digits that give the same double back, which are ECMAScript's; only their layout differs.
    _, parts, exponent = Decimal(repr(abs(value))).normalize().as_tuple()
    digits = "".join(map(str, parts))
    return ("-" if value < 0 else "") + _laid_out(digits, len(digits) + int(exponent))


def _laid_out(digits: str, point: int) -> str:
    """The number 0.*digits* times ten to the *point*."""
    if len(digits) <= point <= _LONGEST_INTEGER_DIGITS:
        return digits.ljust(point, "0")
    if 0 < point <= _LONGEST_INTEGER_DIGITS:
        return f"{digits[:point]}.{digits[point:]}"
    if -_MOST_LEADING_ZEROS < point <= 0:
        return f"0.{'0' * -point}{digits}"
    mantissa = f"{digits[0]}.{digits[1:]}" if len(digits) > 1 else digits
    return f"{mantissa}e{point - 1:+d}"


def _text(value: str, where: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UnusableStatement(f"{where} holds half a surrogate pair", hint="UTF-8 cannot carry it") from None
    return json.dumps(str(value), ensure_ascii=False)
