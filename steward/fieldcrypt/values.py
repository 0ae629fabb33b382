"""Values as bytes and back, exactly: the type that went in comes out.

Kinds (upper half of the suite byte): 0 bytes · 1 str, UTF-8 · 2 int, two's complement, big-endian, shortest ·
3 Decimal, its text · 4 date, ISO 8601 · 5 JSON, UTF-8.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable, Collection
from decimal import Decimal
from typing import Any, cast

from steward.fieldcrypt.errors import CiphertextMalformed, ValueNotSupported, ValueTooLarge

Value = str | bytes | int | float | Decimal | dt.date | dict[str, Any] | list[Any]
"""What a field may hold; dict, list, bool and float as JSON."""

MOST_BYTES = 1 << 20
"""A larger plaintext is refused: a field is held in memory whole, several times. Files belong into an object store."""

_DEEPEST_JSON = 100
"""Far below Python's own limit, which counts the reader's stack too: what was written can be read from anywhere."""

_INTEGER_BOUND = 10**640
"""JSON writes integers in decimal. Python can be told to refuse more digits, and never to refuse as few as these."""

_SUPPORTED = "str, bytes, int, Decimal, date, or JSON of dict, list, str, int, finite float, bool and None"


def encode(value: Value) -> tuple[int, bytes]:
    """(kind, bytes) of *value*. Raises ValueNotSupported for a type that would come back as another, ValueTooLarge."""
    try:
        kind, encoder = _ENCODERS[type(value)]
    except KeyError:
        raise _unsupported(type(value).__name__) from None
    encoded = encoder(value)
    if len(encoded) > MOST_BYTES:
        raise _too_large(f"{len(encoded)} bytes")
    return kind, encoded


def decode(kind: int, encoded: bytes) -> Value:
    """The value whose `encode` gave *kind* and *encoded*, which must be authentic. CiphertextMalformed."""
    try:
        return _DECODERS[kind](encoded)
    except (ValueError, ArithmeticError, RecursionError):
        pass  # Raised below: Python's own error quotes the plaintext, and would hang on as the context.
    raise CiphertextMalformed(
        f"an authentic ciphertext whose content is no value of kind {kind}",
        hint="a program that has this tenant's keys does not keep to the format: find out what wrote it",
    )


def canonical(value: Value) -> bytes:
    """Kind and bytes such that equal values, and only these, are the same: what a blind index is made of.

    Decimals compare as numbers (1.0 is 1.00), text as it is: normalise case and Unicode form before. JSON has no
    equality that applications agree on: ValueNotSupported.
    """
    if type(value) is Decimal:
        value = _plain(value)
    kind, encoded = encode(value)
    if kind == _JSON:
        raise ValueNotSupported(
            f"a blind index over a {type(value).__name__}, expected str, bytes, int, Decimal or date",
            hint="index the one property that is searched for as a field of its own",
        )
    return bytes([kind]) + encoded


def _plain(number: Decimal) -> Decimal:
    sign, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        raise ValueNotSupported("a blind index over a Decimal that is no finite number", hint="it equals nothing")
    # Not Decimal.normalize: it rounds to the precision of the moment's context.
    kept = len(digits)
    while kept > 1 and digits[kept - 1] == 0:
        kept -= 1
    exponent += len(digits) - kept
    return Decimal(0) if digits[:kept] == (0,) else Decimal((sign, digits[:kept], exponent))


def _text(text: str) -> bytes:
    # Python's str may hold lone surrogates (file names do); exact means that they come back.
    return text.encode("utf-8", "surrogatepass")


def _integer(number: int) -> bytes:
    magnitude = number if number >= 0 else ~number
    return number.to_bytes(magnitude.bit_length() // 8 + 1, "big", signed=True)


def _decimal(number: Decimal) -> bytes:
    # A context with capitals=0 writes a small "e".
    return str(number).replace("e", "E").encode("ascii")


def _json(value: Any) -> bytes:
    _check_json(value)
    # Surrogates unescaped: escaped, two lone ones would come back as one character.
    return _text(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


def _check_json(value: Any) -> None:
    """Refuse what JSON would give back as something else: tuples, keys that are no text, subclasses, NaN."""
    level, items = [value], 1
    for _ in range(_DEEPEST_JSON):
        deeper: list[Any] = []
        for item in level:
            inner = _members(item)
            # Each takes a byte at least. Counted before they are visited: one list may stand in a value many times.
            items += len(inner)
            if items > MOST_BYTES:
                raise _too_large(f"{items} items or more")
            deeper += inner
        if not deeper:
            return
        level = deeper
    raise _unsupported(f"{type(value).__name__} nested more than {_DEEPEST_JSON} deep")


def _members(item: Any) -> Collection[Any]:
    kind = type(item)
    if kind is dict:
        members = cast("dict[Any, Any]", item)
        for key in members:
            if type(key) is not str:
                raise _unsupported(f"dict with a key of type {type(key).__name__}")
        return members.values()
    if kind is list:
        return cast("list[Any]", item)
    if kind not in _JSON_SCALARS:
        raise _unsupported(f"{kind.__name__} inside JSON")
    if kind is float and not math.isfinite(item):
        raise _unsupported("float that is no finite number")
    if kind is int and not -_INTEGER_BOUND < item < _INTEGER_BOUND:
        raise _unsupported("int of more than 640 digits inside JSON")
    return ()


def _unsupported(seen: str) -> ValueNotSupported:
    return ValueNotSupported(
        f"a value of type {seen}, expected {_SUPPORTED}",
        hint="convert it where it is given: an enum to its value, a datetime to text, a tuple to a list",
    )


def _too_large(seen: str) -> ValueTooLarge:
    return ValueTooLarge(
        f"a value of {seen}, expected at most {MOST_BYTES}",
        hint="keep large content in an object store, encrypted there, and its address in the field",
    )


_JSON = 5
_JSON_SCALARS = frozenset({str, int, float, bool, type(None)})

# By exact type: an IntEnum or a datetime would come back as something less than it was.
_ENCODERS: dict[type, tuple[int, Callable[[Any], bytes]]] = {
    bytes: (0, bytes),
    str: (1, _text),
    int: (2, _integer),
    Decimal: (3, _decimal),
    dt.date: (4, lambda date: date.isoformat().encode("ascii")),
    dict: (_JSON, _json),
    list: (_JSON, _json),
    bool: (_JSON, _json),
    float: (_JSON, _json),
}
_DECODERS: tuple[Callable[[bytes], Value], ...] = (
    bytes,
    lambda encoded: encoded.decode("utf-8", "surrogatepass"),
    lambda encoded: int.from_bytes(encoded, "big", signed=True),
    lambda encoded: Decimal(encoded.decode("ascii")),
    lambda encoded: dt.date.fromisoformat(encoded.decode("ascii")),
    lambda encoded: json.loads(encoded.decode("utf-8", "surrogatepass")),
)
KINDS = len(_DECODERS)
