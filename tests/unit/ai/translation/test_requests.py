"""Requests in both APIs: what can be said in both means the same, and what cannot is refused by name."""

import anthropic.types
import openai.types.chat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from steward.ai.translation.errors import NotTranslatable
from steward.ai.translation.to_chat import chat_request
from steward.ai.translation.to_messages import messages_request

CHAT = TypeAdapter(openai.types.chat.completion_create_params.CompletionCreateParamsNonStreaming)
MESSAGES = TypeAdapter(anthropic.types.message_create_params.MessageCreateParamsNonStreaming)

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "of a town",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}},
    },
}
ASKED = {
    "model": "chat",
    "messages": [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "And here?"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"town": "Ulm"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
        {"role": "user", "content": "Thanks."},
    ],
    "max_tokens": 50,
    "temperature": 0.5,
    "stop": "END",
    "tools": [TOOL],
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "user": "u-1",
}


def asked(**changes):
    told = {**ASKED, **changes}
    return {name: value for name, value in told.items() if value is not ...}


def test_a_chat_request_says_the_same_to_anthropic():
    told = messages_request(ASKED, "claude", 1024)
    MESSAGES.validate_python(told)
    assert told == {
        "model": "claude",
        "max_tokens": 50,
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "And here?"}]},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "call_1", "name": "weather", "input": {"town": "Ulm"}}],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "call_1", "content": "rain"},
                    {"type": "text", "text": "Thanks."},
                ],
            },
        ],
        "stop_sequences": ["END"],
        "temperature": 0.5,
        "tools": [{"name": "weather", "description": "of a town", "input_schema": TOOL["function"]["parameters"]}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "metadata": {"user_id": "u-1"},
    }


def test_a_request_that_names_no_most_tokens_gets_the_default_and_the_newer_name_wins():
    assert messages_request(asked(max_tokens=...), "claude", 1024)["max_tokens"] == 1024
    assert messages_request(asked(max_completion_tokens=9), "claude", 1024)["max_tokens"] == 9


def test_members_that_change_nothing_are_no_hindrance():
    harmless = {"n": 1, "logprobs": False, "frequency_penalty": 0, "response_format": {"type": "text"}, "store": None}
    assert messages_request(asked(**harmless), "claude", 1) == messages_request(ASKED, "claude", 1)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"n": 2}, "n has no equal"),
        ({"seed": 7}, "seed has no equal"),
        ({"logit_bias": {"1": 2}}, "logit_bias has no equal"),
        ({"response_format": {"type": "json_object"}}, "response_format has no equal"),
        ({"temperature": 1.5}, "temperature is above 1"),
        ({"max_tokens": "50"}, "max_tokens is str"),
        ({"max_tokens": True}, "max_tokens is bool"),
        ({"messages": "hello"}, "messages is str"),
        ({"messages": ["hello"]}, r"messages\[0\] is no object"),
        ({"messages": [{"role": "user"}]}, r"messages\[0\].content is missing"),
        ({"messages": [{"role": "clown", "content": "x"}]}, r"messages\[0\].role is none"),
        ({"messages": [*ASKED["messages"], {"role": "system", "content": "x"}]}, r"messages\[5\].role is system amid"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, r"content\[0\].type is input_audio"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:/etc"}}]}]},
            "image_url.url is neither",
        ),
        ({"tools": [{"type": "custom", "custom": {}}]}, r"tools\[0\].type is custom"),
        ({"tool_choice": "perhaps"}, "tool_choice is none"),
        ({"tools": ..., "tool_choice": "required"}, "tool_choice has no equal"),
        ({"model": ...}, "model is missing"),
        ({"surprise": 1}, "surprise has no equal"),
    ],
)
def test_what_anthropic_has_no_equal_for_is_refused_by_its_name(changes, named):
    with pytest.raises(NotTranslatable, match=named):
        messages_request(asked(**changes), "claude", 1024)


def test_arguments_that_are_no_json_are_refused_without_being_quoted():
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "secret words"}}
    with pytest.raises(NotTranslatable, match="arguments is no JSON object") as raised:
        messages_request(asked(messages=[{"role": "assistant", "tool_calls": [call]}]), "claude", 1)
    assert "secret" not in str(raised.value)


SAID = {
    "model": "chat",
    "max_tokens": 50,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "no such town", "is_error": True},
                {"type": "text", "text": "And?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
            ],
        }
    ],
    "tools": [{"name": "weather", "input_schema": {"type": "object"}}],
    "tool_choice": {"type": "tool", "name": "weather"},
    "stream": True,
}


def test_a_messages_request_says_the_same_to_openai():
    told = chat_request(SAID, "gpt")
    CHAT.validate_python({**told, "stream": False})
    assert told == {
        "model": "gpt",
        "max_completion_tokens": 50,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "tool", "tool_call_id": "t1", "content": "Error: no such town"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "And?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
                ],
            },
        ],
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"system": "x", "thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking has no equal"),
        ({"system": "x", "top_k": 3}, "top_k has no equal"),
        ({"system": "x", "max_tokens": None}, "max_tokens is missing"),
        ({"system": "x", "tools": [{"type": "web_search_20250305", "name": "web_search"}]}, r"tools\[0\].type has no"),
        ({"system": "x", "messages": [{"role": "user", "content": [{"type": "document"}]}]}, "type is document"),
    ],
)
def test_what_openai_has_no_equal_for_is_refused_by_its_name(changes, named):
    with pytest.raises(NotTranslatable, match=named):
        chat_request({**SAID, **changes}, "gpt")


TEXT = st.text(min_size=1, max_size=20)
PARTS = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, TEXT),
    st.just({"type": "image", "source": {"type": "url", "url": "https://example.net/a.png"}}),
    st.just({"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "aGk="}}),
)
CALLS = st.builds(
    lambda name, told: {"type": "tool_use", "id": f"t-{name}", "name": name, "input": told},
    st.from_regex("[a-z]{1,8}", fullmatch=True),
    st.dictionaries(
        TEXT, st.one_of(st.integers(), TEXT, st.booleans(), st.none(), st.lists(TEXT, max_size=3)), max_size=3
    ),
)
ANSWERS = st.builds(
    lambda text, calls: [*([{"type": "text", "text": text}] if text else []), *calls],
    st.text(max_size=20),
    st.lists(CALLS, max_size=3),
).filter(bool)
TURNS = st.lists(st.tuples(st.lists(PARTS, min_size=1, max_size=3), ANSWERS), min_size=1, max_size=3)


# On a busy machine drawing is slow, and that is no fault of the test.
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(turns=TURNS, most=st.integers(1, 10**6), temperature=st.floats(0, 1))
def test_whatever_both_can_say_comes_back_as_it_was(turns, most, temperature):
    messages = []
    for user, assistant in turns:
        messages += [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]
    said = {"model": "m", "max_tokens": most, "temperature": temperature, "messages": messages}
    assert messages_request(chat_request(said, "m"), "m", 1) == said
