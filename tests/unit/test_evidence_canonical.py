from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.evidence.canonical import LARGEST_INTEGER, canonical_json, sha256_of, strict_json
from steward.evidence.errors import UnusableStatement

SCALARS = (
    st.none()
    | st.booleans()
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


def test_a_float_is_refused_and_named():
    with pytest.raises(UnusableStatement, match=r"\$\.figures\.rpo\[1\] is a float"):
        canonical_json({"figures": {"rpo": [1, 0.5]}})


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object(), float("nan"), {1: "one"}, {"\ud800": 1}, "\udfff"])
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(UnusableStatement):
        canonical_json(value)


def test_integers_that_readers_would_round_are_refused():
    assert canonical_json([LARGEST_INTEGER, -LARGEST_INTEGER]) == b"[9007199254740991,-9007199254740991]"
    for beyond in (LARGEST_INTEGER + 1, -LARGEST_INTEGER - 1):
        with pytest.raises(UnusableStatement, match="beyond"):
            canonical_json(beyond)


@given(VALUES)
def test_canonical_bytes_say_the_value_and_say_it_once(value):
    written = canonical_json(value)
    assert strict_json(written) == value
    assert canonical_json(strict_json(written)) == written


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
