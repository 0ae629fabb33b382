"""What providers say they used, read into classes that no token is in twice."""

from __future__ import annotations

import pytest
from anthropic.types import Usage as AnthropicUsage
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CompletionUsage

from steward.ai.errors import AttemptUnusable, UsageUnreadable
from steward.ai.usage import CLASSES, Usage, anthropic_usage, openai_usage

counts = st.integers(0, 10_000_000)


@given(cached=counts, written=counts, fresh=counts, output=counts, data=st.data())
def test_openais_tokens_are_counted_once_though_it_tells_the_cached_within_the_whole(
    cached, written, fresh, output, data
):
    reasoning = data.draw(st.integers(0, output))
    told = CompletionUsage(
        prompt_tokens=fresh + cached + written,
        completion_tokens=output,
        total_tokens=fresh + cached + written + output,
        prompt_tokens_details={"cached_tokens": cached, "cache_write_tokens": written},
        completion_tokens_details={"reasoning_tokens": reasoning},
    )
    read = openai_usage(told.model_dump())
    assert (read.input, read.input_uncached, read.input_cached, read.cache_write) == (
        told.prompt_tokens,
        fresh,
        cached,
        written,
    )
    assert (read.output, read.reasoning) == (output, reasoning)


@given(fresh=counts, cached=counts, short=counts, hour=counts, output=counts)
def test_anthropics_tokens_are_told_apart_already(fresh, cached, short, hour, output):
    told = AnthropicUsage(
        input_tokens=fresh,
        cache_read_input_tokens=cached,
        cache_creation_input_tokens=short + hour,
        cache_creation={"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": hour},
        output_tokens=output,
        server_tool_use={"web_search_requests": 2, "web_fetch_requests": 1},
    )
    read = anthropic_usage(told.model_dump())
    assert read.input == fresh + cached + short + hour
    assert (read.cache_write_5m, read.cache_write_1h, read.web_searches, read.web_fetches) == (short, hour, 2, 1)


def test_written_tokens_without_their_times_to_live_are_of_the_default_one():
    read = anthropic_usage({"input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": 50})
    assert (read.cache_write_5m, read.cache_write_1h) == (50, 0)


def test_embeddings_have_no_output():
    assert openai_usage({"prompt_tokens": 8, "total_tokens": 8}) == Usage(input_uncached=8)


@pytest.mark.parametrize("read", [openai_usage, anthropic_usage])
@pytest.mark.parametrize(
    "told",
    [
        None,
        {},
        "secret words",
        {"prompt_tokens": "secret words", "input_tokens": "secret words"},
        {"prompt_tokens": True, "input_tokens": True, "output_tokens": 1},
        {"prompt_tokens": -1, "input_tokens": -1, "output_tokens": 1},
        {"prompt_tokens": 1.5, "input_tokens": 1.5, "output_tokens": 1},
        {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 6}, "input_tokens": 5, "output_tokens": None},
    ],
)
def test_what_is_missing_or_strange_is_unread_and_never_nothing(read, told):
    with pytest.raises(UsageUnreadable) as unread:
        read(told)
    assert "secret words" not in str(unread.value)
    assert unread.value.hint


@pytest.mark.parametrize(
    "values", [{"output": -1}, {"output": 3, "reasoning": 4}, {"audio_input": 1}, {"output": 2**60}]
)
def test_a_usage_that_contradicts_itself_is_refused(values):
    with pytest.raises(AttemptUnusable):
        Usage(**values)


def test_the_classes_are_the_ledgers_columns():
    assert len(set(CLASSES)) == 11
