from __future__ import annotations

import collections
import datetime as dt
import decimal
import enum
import json
import sys
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from steward.fieldcrypt.errors import CiphertextMalformed, ValueNotSupported, ValueTooLarge
from steward.fieldcrypt.values import KINDS, MOST_BYTES, decode, encode
from tests.unit.fieldcrypt.strategies import DECIMALS, DOCUMENTS, EXAMPLES, EXHAUSTIVE, VALUES, same


@given(VALUES)
@EXHAUSTIVE
def test_every_value_comes_back_with_its_type_and_every_bit(value):
    assert same(decode(*encode(value)), value)


@pytest.mark.parametrize("value", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_the_awkward_values_come_back_too(value):
    assert same(decode(*encode(value)), value)


@pytest.fixture
def grudging_context():
    """A context that rounds to one digit and small exponents, writes "1e+5", and raises whatever can be raised."""
    context = decimal.Context(prec=1, Emin=0, Emax=0, capitals=0, traps=list(decimal.Context().flags))
    with decimal.localcontext(context):
        yield


@given(number=DECIMALS)
@EXHAUSTIVE
def test_decimals_do_not_depend_on_the_context_of_the_moment(number):
    expected = encode(number)
    with decimal.localcontext(decimal.Context(prec=1, Emin=0, Emax=0, capitals=0, traps=list(decimal.Context().flags))):
        assert encode(number) == expected
        assert same(decode(*expected), number)


@pytest.mark.usefixtures("grudging_context")
def test_an_exponent_is_written_with_a_capital_whatever_the_context():
    assert encode(Decimal("1E+5")) == (3, b"1E+5")


@given(st.integers())
@example(-128)
@example(-129)
@example(127)
@example(128)
@EXHAUSTIVE
def test_an_integer_takes_the_fewest_bytes_that_hold_it(number):
    _, encoded = encode(number)
    assert int.from_bytes(encoded, "big", signed=True) == number
    if len(encoded) > 1:
        assert int.from_bytes(encoded[1:], "big", signed=True) != number


def test_a_surrogate_pair_is_not_joined_to_one_character():
    assert decode(*encode({"pair": "\ud83d\ude00"})) == {"pair": "\ud83d\ude00"}


@given(DOCUMENTS)
@EXHAUSTIVE
def test_json_is_what_any_reader_of_json_understands(document):
    _, encoded = encode(document)
    assert same(json.loads(encoded.decode("utf-8", "surrogatepass")), document)


@pytest.fixture
def fewest_digits():
    """Python's strictest limit of the digits of an integer."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    yield
    sys.set_int_max_str_digits(before)


@pytest.mark.usefixtures("fewest_digits")
def test_what_one_process_wrote_another_reads_whatever_its_limit_of_digits():
    largest = [10**640 - 1, -(10**640) + 1]
    assert decode(*encode(largest)) == largest
    assert decode(*encode(10**5000)) == 10**5000
    assert same(decode(*encode(Decimal("1" * 5000))), Decimal("1" * 5000))


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Text(str):
    __slots__ = ()


Point = collections.namedtuple("Point", "x y")  # noqa: PYI024 # the untyped one is what people meet
CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "datetime"),
        (dt.time(12), "time"),
        (Colour.RED, "Colour"),
        (Level.HIGH, "Level"),
        (Text("a"), "Text"),
        ((1, 2), "tuple"),
        (Point(1, 2), "Point"),
        ({1, 2}, "set"),
        (bytearray(b"x"), "bytearray"),
        (memoryview(b"x"), "memoryview"),
        (1j, "complex"),
        (None, "NoneType"),
        (collections.OrderedDict(a=1), "OrderedDict"),
        (float("nan"), "float that is no finite number"),
        ({"a": [float("inf")]}, "float that is no finite number"),
        ({1: "a"}, "dict with a key of type int"),
        ({"a": {None: "a"}}, "dict with a key of type NoneType"),
        ({Colour.RED: "a"}, "dict with a key of type Colour"),
        ({"a": (1,)}, "tuple inside JSON"),
        ([Level.HIGH], "Level inside JSON"),
        ([b"x"], "bytes inside JSON"),
        ([Decimal(1)], "Decimal inside JSON"),
        ([dt.date(2026, 1, 1)], "date inside JSON"),
        ([10**640], "int of more than 640 digits inside JSON"),
        ({"a": [-(10**5000)]}, "int of more than 640 digits inside JSON"),
        (CYCLE, "list nested more than 100 deep"),
    ],
    ids=lambda given: given if type(given) is str else type(given).__name__,
)
def test_what_would_come_back_as_something_else_is_refused_by_its_type(value, seen):
    with pytest.raises(ValueNotSupported) as refused:
        encode(value)
    assert refused.value.message.startswith(f"a value of type {seen}, expected str, bytes, int, Decimal, date, or JSON")
    assert "convert it where it is given" in refused.value.hint


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_json_a_hundred_deep_comes_back_and_one_deeper_is_refused():
    assert decode(*encode(nested(100))) == nested(100)
    with pytest.raises(ValueNotSupported, match="nested more than 100 deep"):
        encode(nested(101))
    with pytest.raises(ValueNotSupported, match="nested more than 100 deep"):
        encode(nested(100_000))


@pytest.mark.parametrize(
    ("largest", "larger"),
    [
        ("x" * MOST_BYTES, "x" * (MOST_BYTES + 1)),
        ("ü" * (MOST_BYTES // 2), "ü" * (MOST_BYTES // 2) + "x"),
        (bytes(MOST_BYTES), bytes(MOST_BYTES + 1)),
        ((1 << 8 * MOST_BYTES - 1) - 1, 1 << 8 * MOST_BYTES - 1),
        (Decimal("1" * MOST_BYTES), Decimal("1" * (MOST_BYTES + 1))),
        (["x" * (MOST_BYTES - 4)], ["x" * (MOST_BYTES - 3)]),
    ],
    ids=["str", "str of two bytes a character", "bytes", "int", "Decimal", "JSON"],
)
def test_a_value_of_one_mebibyte_is_taken_and_a_larger_one_refused(largest, larger):
    assert len(encode(largest)[1]) == MOST_BYTES
    with pytest.raises(ValueTooLarge, match="expected at most 1048576") as refused:
        encode(larger)
    assert "object store" in refused.value.hint


def test_a_small_value_that_is_endless_when_written_out_is_refused_at_once():
    # YAML's aliases make such things of a few hundred bytes of a user's text.
    value: list[Any] = ["ha"] * 10
    for _ in range(50):
        value = [value] * 10
    with pytest.raises(ValueTooLarge):
        encode(value)


SECRET = "geheimnis"


@pytest.mark.parametrize(
    ("kind", "encoded"),
    [
        (1, b"\xff" + SECRET.encode()),
        (3, SECRET.encode()),
        (3, b"\xff" + SECRET.encode()),
        (4, SECRET.encode()),
        (5, SECRET.encode()),
        (5, b"\xff" + SECRET.encode()),
        (5, f'{{"{SECRET}": '.encode()),
        (5, b"[" * 100_000 + SECRET.encode()),
        (5, b"9" * 5000),
    ],
)
def test_authentic_bytes_that_are_no_value_are_refused_without_being_quoted(kind, encoded):
    with pytest.raises(CiphertextMalformed) as refused:
        decode(kind, encoded)
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None
    assert SECRET not in str(refused.value)


def test_there_are_as_many_kinds_as_the_format_documents():
    assert KINDS == 6
    assert [encode(value)[0] for value in (b"", "", 0, Decimal(0), dt.date.min, {}, [], True, 0.0)] == [
        *range(6),
        5,
        5,
        5,
    ]
