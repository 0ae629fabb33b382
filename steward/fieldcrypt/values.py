"""Values as bytes and back, exactly: the type that went in comes out.

Kinds (upper half of the suite byte): 0 bytes · 1 str, UTF-8 · 2 int, two's complement, big-endian, shortest ·
3 Decimal, its text · 4 date, ISO 8601 · 5 JSON, UTF-8.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

from steward.fieldcrypt.errors import ValueNotSupported, ValueTooLarge

Value = str | bytes | int | float | Decimal | dt.date | dict[str, Any] | list[Any]
"""What a field may hold; dict, list, bool and float as JSON."""

MOST_BYTES = 1 << 20
"""A larger plaintext is refused: a field is held in memory whole, several times. Files belong into an object store."""

_DEEPEST_JSON = 100
"""Far below Python's own limit, which counts the reader's stack too: what was written can be read from anywhere."""

_SUPPORTED = "str, bytes, int, Decimal, date, or JSON of dict, list, str, int, finite float, bool and None"


def encode(value: Value) -> tuple[int, bytes]:
    """(kind, bytes) of *value*. Raises ValueNotSupported for a type that would come back as another, ValueTooLarge."""
    try:
        kind, encoder = _ENCODERS[type(value)]
    except KeyError:
        raise _unsupported(type(value).__name__) from None
    encoded = encoder(value)
    if len(encoded) > MOST_BYTES:
        raise ValueTooLarge(
            f"a value of {len(encoded)} bytes, expected at most {MOST_BYTES}",
            hint="keep large content in an object store, encrypted there, and its address in the field",
        )
    return kind, encoded


def decode(kind: int, encoded: bytes) -> Value:
    """The value whose `encode` gave *kind* and *encoded*, which must be authentic."""
    return _DECODERS[kind](encoded)


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
    return number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)


def _json(value: Any) -> bytes:
    try:
        _check_json(value, _DEEPEST_JSON)
        # Surrogates unescaped: escaped, two lone ones would come back as one character.
        return _text(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
    except ValueError:
        # An integer beyond Python's limit of digits. Not chained: it may quote the value.
        raise _unsupported("int of too many digits inside JSON") from None


def _check_json(value: Any, levels: int) -> None:
    """Refuse what JSON would give back as something else: tuples, keys that are no text, subclasses, NaN."""
    kind = type(value)
    if not levels:
        raise _unsupported(f"{kind.__name__} nested more than {_DEEPEST_JSON} deep")
    if kind is dict:
        for key, item in cast("dict[Any, Any]", value).items():
            if type(key) is not str:
                raise _unsupported(f"dict with a key of type {type(key).__name__}")
            _check_json(item, levels - 1)
    elif kind is list:
        for item in cast("list[Any]", value):
            _check_json(item, levels - 1)
    elif kind is float and not math.isfinite(value):
        raise _unsupported("float that is no finite number")
    elif kind not in _JSON_SCALARS:
        raise _unsupported(f"{kind.__name__} inside JSON")


def _unsupported(seen: str) -> ValueNotSupported:
    return ValueNotSupported(f"a value of type {seen}, expected {_SUPPORTED}", hint="convert it where it is given")


_JSON = 5
_JSON_SCALARS = frozenset({str, int, float, bool, type(None)})

# By exact type: an IntEnum or a datetime would come back as something less than it was.
_ENCODERS: dict[type, tuple[int, Callable[[Any], bytes]]] = {
    bytes: (0, bytes),
    str: (1, _text),
    int: (2, _integer),
    Decimal: (3, lambda number: str(number).encode("ascii")),
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
