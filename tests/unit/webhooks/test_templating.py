"""Parameters from payloads: what is asked for is found with its type, left out only where that is allowed, and never made up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.webhooks.errors import RuleDoesNotFit
from steward.webhooks.templating import MOST_CHARACTERS, faults_of, fill, fill_text, look_up

PAYLOAD = {
    "deployment": {"id": 7, "sha": "ab", "ref": None, "payload": '{"flag": "new", "parts": [1, 2]}', "live": True},
    "odd-name": {"1": "one"},
    "empty": {},
}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def filled(template, payload=PAYLOAD):
    return fill({"x": template}, payload).get("x", "LEFT OUT")


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{deployment.id}", 7),
        ("{deployment.live}", True),
        ("{deployment.payload.flag}", "new"),
        ("{deployment.payload.parts}", [1, 2]),
        ("{empty}", {}),
        ("{odd-name.1}", "one"),
        ("no {{braces}}", "no {braces}"),
        ("{{deployment.id}}", "{deployment.id}"),
        ("number {deployment.id}, {deployment.live}", "number 7, true"),
        ("{deployment.ref|deployment.sha}", "ab"),
        ("{deployment.none|deployment.ref|deployment.id}", 7),
        ("{deployment.ref?}", "LEFT OUT"),
        ("{deployment.sha.more?}", "LEFT OUT"),
        ("{deployment.payload.parts.0?}", "LEFT OUT"),
        ("{a|b|c?}", "LEFT OUT"),
        (3, 3),
        (None, None),
        (["{deployment.id}", "{no?}", {"a": "{no?}", "b": "{deployment.sha}"}], [7, {"b": "ab"}]),
    ],
)
def test_a_template_is_filled_with_what_stands_at_its_path(template, value):
    assert filled(template) == value
    assert type(filled(template)) is type(value)
    assert list(faults_of(template)) == []


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{deployment.nothing}", "has no deployment.nothing"),
        ("{deployment.ref}", "has no deployment.ref"),
        ("{a|b.c}", "has no a and no b.c"),
        ("all of {deployment}", "deployment is an object or a list"),
        ("{deployment.sha.length}", "has no deployment.sha.length"),
    ],
)
def test_what_is_not_there_is_told_by_its_path_and_never_by_a_value(template, told):
    with pytest.raises(RuleDoesNotFit, match=told) as refused:
        filled(template)
    assert "ab" not in refused.value.message.replace("a|b", "")
    assert refused.value.hint


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{", "a brace without its other"),
        ("a } b", "a brace without its other"),
        ("{}", "is no path"),
        ("{a b}", "is no path"),
        ("{a..b}", "is no path"),
        ("{a?|b}", "is no path"),
        ("x {a?}", "stands alone"),
        ({"a": [{"b": "{.a}"}]}, "is no path"),
    ],
)
def test_a_template_that_can_be_filled_from_nothing_is_found_before(template, told):
    assert told in next(iter(faults_of(template)))


def test_a_number_that_is_none_and_parameters_without_end_are_no_parameters():
    with pytest.raises(RuleDoesNotFit, match="too large"):
        filled(["{a}"], {"a": {"b": [float("inf")]}})
    with pytest.raises(RuleDoesNotFit, match=f"{MOST_CHARACTERS:,} are allowed"):
        filled("{a}", {"a": "x" * MOST_CHARACTERS})


def test_a_text_is_wanted_where_a_text_is_needed():
    assert fill_text("v{deployment.id}", PAYLOAD) == "v7"
    for template in ("{deployment.id}", "{deployment.ref?}"):
        with pytest.raises(RuleDoesNotFit, match="no text"):
            fill_text(template, PAYLOAD)


@given(values)
def test_what_a_payload_holds_is_never_read_as_a_template(value):
    assert filled("{a?}", {"a": value}) == ("LEFT OUT" if value is None else value)
    if isinstance(value, str):
        assert filled("<{a}>", {"a": value}) == f"<{value}>"


@given(values, st.from_regex(r"[a-c0-1](\.[a-c0-1]){0,3}", fullmatch=True))
def test_any_path_into_any_payload_is_a_value_or_nothing(payload, path):
    look_up({"a": payload, "b": {"a": payload}}, path)
