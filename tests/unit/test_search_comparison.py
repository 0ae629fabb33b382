from __future__ import annotations

import pytest

from steward.search.comparison import differences


@pytest.mark.parametrize(
    ("seen", "expected", "lines"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 1}}, []),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ["a.b: saw 1, expected 2"]),
        ({}, {"a": None}, ["a: saw nothing, expected null"]),
        ({"a": 1}, {}, ["a: saw 1, expected nothing"]),
        ({"a": ["x", "y"]}, {"a": ["y", "z"]}, ["a: lacks z", "a: also has x"]),
        ({"a": [1, 2]}, {"a": [2, 1]}, ["a: saw [1, 2], expected [2, 1]"]),
        ({"a": "false"}, {"a": False}, ['a: saw "false", expected false']),
    ],
)
def test_every_difference_is_named_where_it_is(seen, expected, lines):
    assert list(differences(seen, expected)) == lines


def test_a_long_value_is_cut_and_says_so():
    (line,) = differences({"a": "x" * 1000}, {"a": ""})
    assert len(line) < 300
    assert "…" in line
