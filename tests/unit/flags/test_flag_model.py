"""A flag that contradicts itself is refused with what was seen, what was expected and what to do."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steward.flags import Audience, Flag, Split
from steward.flags.errors import FlagDocumentRefused
from tests.unit.flags.strategies import BRIEF, flags

ON_OFF = {"key": "new-search", "variants": {"on": True, "off": False}, "off": "off"}


def split(*weights):
    return {"split": {"weights": [list(weight) for weight in weights]}}


REFUSED = {
    "a key that SDKs would hash differently": ({"key": "nöw"}, "key"),
    "a key with a line's end": ({"key": "new-search\n"}, "key"),
    "no variants": ({"variants": {}}, "variants"),
    "an off variant that is not there": ({"off": "away"}, "gives away"),
    "variants of two kinds": ({"variants": {"on": True, "off": 0}}, "boolean and number"),
    "a variant without a value": ({"variants": {"on": True, "off": None}}, "null"),
    "a list as a value": ({"variants": {"on": [], "off": []}}, "list"),
    "a number that JavaScript rounds": ({"variants": {"on": 2**53, "off": 0}}, "9007199254740992"),
    "such a number deep within": ({"variants": {"on": {"a": [{"b": 2**53}]}, "off": {}}}, "9007199254740992"),
    "no number": ({"variants": {"on": float("nan"), "off": 0.0}}, "nan"),
    "a text that no database keeps": ({"variants": {"on": "a\0", "off": ""}}, "NUL"),
    "half a character": ({"variants": {"on": "\ud800", "off": ""}}, "surrogate"),
    "an audience of nobody": ({"audiences": [{"variant": "on"}]}, "nobody"),
    "an audience's variant that is not there": ({"audiences": [{"variant": "x", "users": ["u"]}]}, "gives x"),
    "weights that are no whole": (split(("on", 5), ("off", 94)), "come to 99"),
    "weights below nothing": (split(("on", -5), ("off", 105)), "weights"),
    "a weight that is no integer": (split(("on", 5.0), ("off", 95)), "weights"),
    "a weight that is a truth": (split(("on", True), ("off", 99)), "weights"),
    "a variant weighed twice": (split(("on", 5), ("on", 5), ("off", 90)), "twice"),
    "a variant weighed that is not there": (split(("on", 5), ("x", 5), ("off", 90)), "gives x"),
    "the off variant first": (split(("off", 95), ("on", 5)), "ends with on"),
    "a lease that is no time": ({"lease_until": "tomorrow"}, "lease_until"),
    "a field that is none": ({"enabled": True}, "enabled"),
}


@pytest.mark.parametrize(("fields", "seen"), REFUSED.values(), ids=REFUSED)
def test_a_flag_that_contradicts_itself_is_refused_with_what_was_seen(fields, seen):
    with pytest.raises(FlagDocumentRefused) as refused:
        Flag.read(ON_OFF | fields)
    assert seen in refused.value.seen
    assert refused.value.expected
    assert refused.value.hint


@given(
    st.recursive(
        st.none() | st.booleans() | st.text() | st.integers(), lambda i: st.lists(i) | st.dictionaries(st.text(), i)
    )
)
@settings(BRIEF, max_examples=50)
def test_whatever_else_is_read_is_refused_and_nothing_worse(written):
    with pytest.raises(FlagDocumentRefused):
        Flag.read(written)


@given(flags())
@BRIEF
def test_a_flag_comes_back_from_json_as_it_was(flag):
    assert Flag.read(json.loads(json.dumps(flag.state()))) == flag


@pytest.mark.parametrize("percent", [-1, 100.01, 0.001, float("nan"), float("inf")])
def test_a_percentage_that_weights_cannot_have_is_refused(percent):
    with pytest.raises(FlagDocumentRefused, match="% of users"):
        Flag(**ON_OFF).exposing(percent, "on")


@given(st.integers(0, 10_000))
@BRIEF
def test_every_hundredth_of_a_percent_is_exposed_exactly(hundredths):
    exposed = Flag(**ON_OFF).exposing(hundredths / 100, "on")
    assert exposed.split.weights == (("on", hundredths), ("off", 10_000 - hundredths))
    assert exposed.split.exposure_percent == pytest.approx(hundredths / 100)


def test_a_split_that_exposes_somebody_keeps_what_its_weights_are_of():
    of_a_hundred = Flag(**ON_OFF, split=Split(weights=(("on", 5), ("off", 95))))
    assert of_a_hundred.exposing(25, "on").split.weights == (("on", 25), ("off", 75))
    with pytest.raises(FlagDocumentRefused, match="in steps of 1"):
        of_a_hundred.exposing(7.5, "on")
    assert of_a_hundred.withdrawn().exposing(7.5, "on").split.total == 10_000


def test_a_withdrawn_flag_keeps_order_total_and_audiences():
    flag = Flag(**ON_OFF, audiences=(Audience(variant="on", users=("u",)),)).exposing(25, "on")
    withdrawn = flag.withdrawn()
    assert withdrawn.split.weights == (("on", 0), ("off", 10_000))
    assert withdrawn.audiences == flag.audiences
    assert Flag(**ON_OFF).withdrawn().split is None
