from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import settings as run
from hypothesis import strategies as st

from steward.evidence.canonical import LARGEST_INTEGER, canonical_json, sha256_of, strict_json
from steward.evidence.errors import UnusableStatement

# A busy machine is no fault of the code's.
UNHURRIED = run(deadline=None)
SCALARS = (
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda double: not double.is_integer())
    | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


def test_members_are_sorted_as_rfc_8785_section_3_2_3_shows():
    # The RFC's own example: U+FB33 comes after the surrogate pair of U+1F600, which sorting by code points gets wrong.
    value = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    assert list(json.loads(canonical_json(value)).values()) == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]


def test_strings_and_literals_are_written_as_rfc_8785_section_3_2_2_shows():
    value = {"string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/", "literals": [None, True, False]}
    expected = '{"literals":[null,true,false],"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    assert canonical_json(value) == expected.encode()


# RFC 8785, appendix B: bits of a double, and how it is written.
DOUBLES = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]


@pytest.mark.parametrize(("bits", "written"), DOUBLES)
def test_doubles_are_written_as_rfc_8785_appendix_b_shows(bits, written):
    (double,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical_json(double) == written.encode()


@UNHURRIED
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_is_read_back_as_it_was(double):
    assert float(canonical_json(double)) == double


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_a_number_is_refused_and_named(value):
    with pytest.raises(UnusableStatement, match=r"\$\.figures\.rpo\[1\] is -?(nan|inf)"):
        canonical_json({"figures": {"rpo": [1, value]}})


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object(), {1: "one"}, {"\ud800": 1}, "\udfff"])
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(UnusableStatement):
        canonical_json(value)


def test_integers_that_readers_would_round_are_refused():
    assert canonical_json([LARGEST_INTEGER, -LARGEST_INTEGER]) == b"[9007199254740991,-9007199254740991]"
    for beyond in (LARGEST_INTEGER + 1, -LARGEST_INTEGER - 1):
        with pytest.raises(UnusableStatement, match="beyond"):
            canonical_json(beyond)


@UNHURRIED
@given(VALUES)
def test_canonical_bytes_say_the_value_and_say_it_once(value):
    written = canonical_json(value)
    assert strict_json(written) == value
    assert canonical_json(strict_json(written)) == written


@UNHURRIED
@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), SCALARS, min_size=2))
def test_the_order_of_insertion_does_not_matter(value):
    assert sha256_of(dict(reversed(value.items()))) == sha256_of(value)


@pytest.mark.parametrize(
    "text", [b'{"a":1,"a":2}', b'{"a":{"b":1,"b":1}}', b"NaN", b"[Infinity]", b"\xff", b"", b"{}x"]
)
def test_text_that_readers_could_understand_differently_is_refused(text):
    with pytest.raises(ValueError):
        strict_json(text)


def test_deep_nesting_is_refused_and_does_not_end_the_process():
    with pytest.raises(ValueError, match="nested too deeply"):
        strict_json(b"[" * 100_000)
