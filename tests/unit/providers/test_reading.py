"""Whatever a body holds, it is served or refused in words: no twin stumbles over a request."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replica.providers import composing
from replica.providers.anthropic.messages import Messages
from replica.providers.api import Served
from replica.providers.errors import Refusal
from replica.providers.openai.chat import Chat
from replica.providers.openai.embeddings import Embeddings
from replica.providers.prompt_cache import PromptCache

EXCHANGE = SimpleNamespace(headers={"anthropic-version": "2026-10-21"})
odd = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 9)
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "x", "auto", "5m"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "role", "content", "text", "name", "function", "ttl", "properties", "items", "enum"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
message = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool"]) | odd, "content": st.just("hi") | odd}
)
tool = st.fixed_dictionaries(
    {},
    optional={
        "type": st.just("function") | odd,
        "name": st.just("t") | odd,
        "function": st.fixed_dictionaries({}, optional={"name": st.just("t") | odd, "parameters": odd}) | odd,
        "input_schema": odd,
        "cache_control": odd,
    },
)
body = st.fixed_dictionaries(
    {"messages": st.lists(message, max_size=3) | odd},
    optional={
        "max_tokens": st.integers(0, 99) | odd,
        "max_completion_tokens": odd,
        "system": odd,
        "tools": st.lists(tool, max_size=2) | odd,
        "tool_choice": odd,
        "stream": odd,
        "stream_options": odd,
        "service_tier": odd,
        "cache_control": odd,
        "n": odd,
        "input": odd,
        "dimensions": odd,
        "encoding_format": odd,
    },
)


def _read(api, asked):
    try:
        return api.read(EXCHANGE, json.dumps(asked).encode()), None
    except Refusal as refusal:
        return None, refusal


@pytest.mark.parametrize(
    ("api", "model"),
    [(Chat(), "gpt-6-luna"), (Messages(), "claude-haiku-5-5"), (Embeddings(), "text-embedding-3-small")],
)
@settings(max_examples=150, deadline=None)
@given(asked=body | odd)
def test_every_body_is_served_or_refused(api, model, asked) -> None:
    if isinstance(asked, dict):
        asked = {"model": model, "max_tokens": 9, **asked}
    request, refusal = _read(api, asked)
    if refusal:
        assert 400 <= refusal.status < 500
        assert api.refusal(refusal, "req_1")
        return
    most = request.most
    composed = composing.compose(composing.digest(1, request.body), most=most, tool=request.tool, reasons=False)
    split = PromptCache(lambda: 0.0).split("main", request.blocks, automatic=model == "gpt-6-luna").split
    served = Served(request, composed, split, api.tier(request.tier_asked), "req_1", 1)
    assert json.dumps(api.answer(served), default=str)
    if model != "text-embedding-3-small":
        assert api.events(served)
