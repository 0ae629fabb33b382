"""Parameters from payloads: what is asked for is found with its type, left out only where that is allowed, and never made up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.webhooks.templating import RuleDoesNotFit, TemplateUnusable, check_template, fill, look_up

PAYLOAD = {
    "deployment": {"id": 7, "sha": "ab", "ref": None, "payload": '{"flag": "new", "parts": [1, 2]}', "live": True},
    "odd-name": {"1": "one"},
    "empty": {},
}

#: What may be stored: PostgreSQL's text has no NUL, and numbers have 64 bits.
texts = st.text(st.characters(exclude_characters="\0", codec="utf-8"))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
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
        ("{deployment.sha:1}", "a"),
        ("{deployment.sha:12}", "ab"),
        ("{deployment.id:1}", "7"),
        ("{deployment.none|deployment.sha:1}", "a"),
        ("ref {deployment.ref?}.", "ref ."),
        (3, 3),
        (None, None),
        (["{deployment.id}", "{no?}", {"a": "{no?}", "b": "{deployment.sha}"}], [7, {"b": "ab"}]),
    ],
)
def test_a_template_is_filled_with_what_stands_at_its_path(template, value):
    assert filled(template) == value
    assert type(filled(template)) is type(value)
    check_template(template)


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{deployment.nothing}", "has no deployment.nothing"),
        ("{deployment.ref}", "has no deployment.ref"),
        ("{a|b.c}", "has no a nor b.c"),
        ("all of {deployment}", "deployment is an object"),
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
        ("{}", "is no reference"),
        ("{a b}", "is no reference"),
        ("{a..b}", "is no reference"),
        ("{a?|b}", "is no reference"),
        ("{a:0}", "is no reference"),
        ({"a": [{"b": "{.a}"}]}, "is no reference"),
    ],
)
def test_a_template_that_can_be_filled_from_nothing_is_found_before(template, told):
    with pytest.raises(TemplateUnusable, match=told) as refused:
        check_template(template)
    assert refused.value.hint


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"b": [{"__prefect_kind": "jinja", "template": "{{ secrets }}"}]}, "a has the key __prefect_kind"),
        ("a\0b", "NUL"),
        (["a", {"\0": 1}], "NUL"),
        (1 << 63, "beyond 64 bits"),
    ],
)
def test_a_sender_s_word_is_never_worked_out_by_prefect_nor_stored_where_it_cannot_be(value, told):
    with pytest.raises(RuleDoesNotFit, match=told):
        filled("{a}", {"a": value})


@pytest.mark.parametrize("value", [float("inf"), ["x", {"y": float("-inf")}]])
def test_a_number_that_json_has_no_word_for_is_no_parameter(value):
    with pytest.raises(RuleDoesNotFit, match="is no number"):
        filled("{a}", {"a": value})


@given(values)
def test_what_a_payload_holds_is_never_read_as_a_template(value):
    assert filled("{a?}", {"a": value}) == ("LEFT OUT" if value is None else value)
    if isinstance(value, str):
        assert filled("<{a}>", {"a": value}) == f"<{value}>"


@given(values, st.from_regex(r"[a-c0-1](\.[a-c0-1]){0,3}", fullmatch=True))
def test_any_path_into_any_payload_is_a_value_or_nothing(payload, path):
    look_up({"a": payload, "b": {"a": payload}}, path)
