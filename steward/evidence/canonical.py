"""Canonical JSON: one value, one sequence of bytes, so that a digest names a statement.

The bytes are those of RFC 8785 (JSON Canonicalization Scheme) for the values accepted here: no insignificant space,
members sorted by the UTF-16 code units of their names, the shortest escapes, UTF-8. Accepted are null, booleans,
strings, integers within ±(2^53 - 1), arrays and objects. Floats are refused: they are the one place where
implementations of RFC 8785 differ in practice, and a measured figure has a unit in which it is whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from steward.evidence.errors import UnusableStatement

#: Largest integer that every JSON reader keeps exactly (RFC 7493, section 2.2).
LARGEST_INTEGER = 2**53 - 1


def canonical_json(value: object) -> bytes:
    """*value* as canonical JSON. UnusableStatement names the member that has no canonical form."""
    return json.dumps(_ordered(value, "$"), ensure_ascii=False, separators=(",", ":")).encode()


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


def _ordered(value: object, where: str) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, int):
        return _integer(value, where)
    if isinstance(value, Mapping):
        return _members(value, where)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_ordered(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise UnusableStatement(
        f"{where} is a {type(value).__name__}, which has no canonical form",
        hint="write a figure as an integer in a unit that makes it whole (milliseconds, parts per million), or as text",
    )


def _members(value: Mapping[Any, object], where: str) -> dict[str, object]:
    for name in value:
        if not isinstance(name, str):
            raise UnusableStatement(f"{where} has a member named {name!r}, which is not text", hint="name it in text")
        _text(name, where)
    names: list[str] = sorted(value, key=lambda name: name.encode("utf-16-be"))
    return {str(name): _ordered(value[name], f"{where}.{name}") for name in names}


def _integer(value: int, where: str) -> int:
    if abs(value) > LARGEST_INTEGER:
        raise UnusableStatement(f"{where} is {value}, beyond ±(2^53 - 1)", hint="write it as text, or in a larger unit")
    return int(value)


def _text(value: str, where: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UnusableStatement(f"{where} holds half a surrogate pair", hint="UTF-8 cannot carry it") from None
    return str(value)
