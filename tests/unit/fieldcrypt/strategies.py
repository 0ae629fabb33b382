"""What Hypothesis may put into a field, and when two values are the same to the last bit."""

from __future__ import annotations

import datetime as dt
import struct
from decimal import Decimal, InvalidOperation
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

EXHAUSTIVE = settings(derandomize=True, deadline=None, max_examples=300)
"""The same examples in every run, and no clock: a busy machine is no fault of the code's."""
BRIEF = settings(EXHAUSTIVE, max_examples=100)

TEXT = st.text(st.characters())  # lone surrogates and NUL included
INTEGERS = st.integers() | st.integers(-(2**70), 2**70) | st.integers(0, 4000).map(lambda bits: -(1 << bits))


def _decimal(parts: tuple[int, list[int], int | str]) -> Decimal | None:
    try:
        return Decimal((parts[0], tuple(parts[1]), parts[2]))
    except InvalidOperation:
        return None  # a coefficient that reaches beyond the largest exponent


_LARGEST = 999_999_999_999_999_999
EXPONENTS = st.integers(-50, 50) | st.integers(-_LARGEST, _LARGEST) | st.sampled_from(["n", "N", "F"])
DECIMALS = st.tuples(st.integers(0, 1), st.lists(st.integers(0, 9), max_size=60), EXPONENTS).map(_decimal)
DECIMALS = DECIMALS.filter(lambda number: number is not None)
NUMBERS = DECIMALS.filter(lambda number: number.is_finite())

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | FLOATS | st.integers(-(2**70), 2**70) | TEXT
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=15)
DOCUMENTS = st.lists(JSON) | st.dictionaries(TEXT, JSON) | st.booleans() | FLOATS

INDEXABLE = TEXT | st.binary() | INTEGERS | DECIMALS.filter(lambda number: number.is_finite()) | st.dates()
VALUES = TEXT | st.binary() | INTEGERS | DECIMALS | st.dates() | DOCUMENTS

ROW_PARTS = st.integers() | TEXT | st.binary() | st.uuids()
ROW_IDS = ROW_PARTS | st.lists(ROW_PARTS, min_size=1, max_size=4).map(tuple)


def same(left: Any, right: Any) -> bool:
    """Equal in type, in every bit of a number, and in the order of a dict's keys."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float):
        return struct.pack(">d", left) == struct.pack(">d", right)
    if isinstance(left, Decimal):
        return left.as_tuple() == right.as_tuple()
    return left == right


EXAMPLES: dict[str, Any] = {
    "empty text": "",
    "text": "ada@example.net",
    "text of all planes, with NUL": "Zürich\x00 東京 🦉",
    "text with lone surrogates": "\udcff\ud83d\ude00",
    "no bytes": b"",
    "bytes": bytes(range(256)),
    "zero": 0,
    "minus one": -1,
    "the edges of a byte": 127,
    "below the edges of a byte": -128,
    "beyond the edges of a byte": 128,
    "a large integer": 10**60,
    "a large negative integer": -(2**255),
    "money": Decimal("19.90"),
    "negative zero": Decimal("-0.00"),
    "a far exponent": Decimal("1E+999999"),
    "a not-a-number with a payload": Decimal("-NaN42"),
    "infinity": Decimal("-Infinity"),
    "the first day": dt.date.min,
    "a leap day": dt.date(2024, 2, 29),
    "the last day": dt.date.max,
    "true": True,
    "a float": 0.1,
    "negative float zero": -0.0,
    "the smallest float": 5e-324,
    "an empty object": {},
    "an empty list": [],
    "an object": {"z": [1, 2.0, None, True, {"": "ü"}], "a": -0.0, "\udc80": 10**30},
}
