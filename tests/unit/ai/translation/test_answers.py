"""Answers in both APIs, whole and as streams: a stream that is put together is the whole answer."""

import json

import openai.types.chat
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from steward.ai.translation.chat_answers import ChatChunks, chat_completion
from steward.ai.translation.message_answers import MessageEvents, message

EVENT = TypeAdapter(RawMessageStreamEvent)
CREATED = 1_900_000_000
USAGE = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 3,
    "cache_read_input_tokens": 4,
    "output_tokens": 20,
}


def whole(content, stop_reason="end_turn"):
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": USAGE,
    }


def events_of(answer, piece):
    """*answer* as Anthropic streams it, *piece* characters at a time."""
    start = {**answer, "content": [], "stop_reason": None, "usage": {**USAGE, "output_tokens": 1}}
    yield {"type": "message_start", "message": start}
    for index, block in enumerate(answer["content"]):
        is_text = block["type"] == "text"
        text = block["text"] if is_text else json.dumps(block["input"])
        begun = {**block, "text": ""} if is_text else {**block, "input": {}}
        yield {"type": "content_block_start", "index": index, "content_block": begun}
        yield {"type": "ping"}
        for at in range(0, len(text), piece):
            part = text[at : at + piece]
            delta = (
                {"type": "text_delta", "text": part} if is_text else {"type": "input_json_delta", "partial_json": part}
            )
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    delta = {"stop_reason": answer["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 20}}
    yield {"type": "message_stop"}


def completion_of(chunks):
    """What the chunks come to, put together as a caller does."""
    said, usage, calls = {"role": "", "content": "", "refusal": None}, None, {}
    finish = None
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            finish = choice["finish_reason"] or finish
            delta = choice["delta"]
            said["role"] += delta.get("role", "")
            said["content"] += delta.get("content") or ""
            for call in delta.get("tool_calls", ()):
                known = calls.setdefault(call["index"], {**call, "function": {**call["function"], "arguments": ""}})
                known["function"]["arguments"] += call["function"]["arguments"]
    for call in calls.values():
        del call["index"]
    said["content"] = said["content"] or None
    head = {name: chunks[0][name] for name in ("id", "created", "model")}
    message = said | ({"tool_calls": list(calls.values())} if calls else {})
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    return {**head, "object": "chat.completion", "choices": [choice], "usage": usage}


def message_of(events):
    """What the events come to, put together as the provider's own client does."""
    told, texts = None, {}
    for event in events:
        EVENT.validate_python(event)
        match event["type"]:
            case "message_start":
                told = json.loads(json.dumps(event["message"]))
            case "content_block_start":
                told["content"].append(dict(event["content_block"]))
                texts[event["index"]] = ""
            case "content_block_delta":
                delta = event["delta"]
                texts[event["index"]] += delta.get("text", "") + delta.get("partial_json", "")
            case "content_block_stop":
                block = told["content"][event["index"]]
                block |= (
                    {"text": texts[event["index"]]}
                    if block["type"] == "text"
                    else {"input": json.loads(texts[event["index"]] or "{}")}
                )
            case "message_delta":
                told |= event["delta"]
                told["usage"] |= event["usage"]
    return told


BLOCKS = st.builds(
    lambda text, calls: [*([{"type": "text", "text": text}] if text else []), *calls],
    st.text(max_size=50),
    st.lists(
        st.builds(
            lambda number, told: {"type": "tool_use", "id": f"t{number}", "name": "f", "input": told},
            st.integers(0, 9),
            st.dictionaries(st.text(max_size=10), st.integers(), max_size=3),
        ),
        max_size=3,
    ),
)


def test_a_whole_answer_says_the_same_and_counts_caches_as_openai_does():
    told = chat_completion(whole([{"type": "text", "text": "Rain."}]), CREATED)
    openai.types.chat.ChatCompletion.model_validate(told)
    assert told["choices"][0]["message"] == {"role": "assistant", "content": "Rain.", "refusal": None}
    assert told["usage"] == {
        "prompt_tokens": 17,
        "completion_tokens": 20,
        "total_tokens": 37,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
    }


@pytest.mark.parametrize(
    ("stopped", "finished"),
    [("end_turn", "stop"), ("max_tokens", "length"), ("tool_use", "tool_calls"), ("refusal", "content_filter")],
)
def test_why_it_stopped_is_told_in_the_callers_words_and_comes_back(stopped, finished):
    told = chat_completion(whole([{"type": "text", "text": "x"}], stopped), CREATED)
    assert told["choices"][0]["finish_reason"] == finished
    assert message(told)["stop_reason"] == stopped


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(content=BLOCKS, piece=st.integers(1, 50))
def test_a_stream_of_events_comes_to_the_whole_answer_in_chunks(content, piece):
    answer = whole(content)
    chunks = ChatChunks(CREATED, include_usage=True)
    came = [chunk for event in events_of(answer, piece) for chunk in chunks.feed(event)]
    for chunk in came:
        openai.types.chat.ChatCompletionChunk.model_validate(chunk)
    assert completion_of(came) == chat_completion(answer, CREATED)
    assert [chunk["usage"] for chunk in came[:-1]] == [None] * (len(came) - 1)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(content=BLOCKS, piece=st.integers(1, 50))
def test_a_stream_of_chunks_comes_to_the_whole_answer_in_events(content, piece):
    # Each text before each call, as that API has it.
    completion = chat_completion(whole(content), CREATED)
    chunks = ChatChunks(CREATED, include_usage=True)
    told = [chunk for event in events_of(whole(content), piece) for chunk in chunks.feed(event)]
    events = MessageEvents()
    came = [event for chunk in told for event in events.feed(chunk)]
    assert events.is_whole
    put_together = message_of([*came, *events.end()])
    Message.model_validate(put_together)
    assert put_together == message(completion)


def test_usage_is_told_in_a_stream_where_it_was_asked_for():
    chunks = ChatChunks(CREATED, include_usage=False)
    came = [chunk for event in events_of(whole([{"type": "text", "text": "x"}]), 1) for chunk in chunks.feed(event)]
    assert all("usage" not in chunk for chunk in came)


def test_a_stream_that_did_not_say_why_it_stopped_is_not_whole():
    events = MessageEvents()
    head = {"id": "c", "model": "gpt", "choices": [{"delta": {"content": "half an"}, "finish_reason": None}]}
    assert [event["type"] for event in events.feed(head)] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
    ]
    assert not events.is_whole


def test_arguments_that_are_no_json_are_kept_as_they_are():
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{half"}}
    choice = {"index": 0, "message": {"role": "assistant", "tool_calls": [call]}, "finish_reason": "tool_calls"}
    told = message({"id": "c", "model": "gpt", "choices": [choice]})
    assert told["content"] == [{"type": "tool_use", "id": "c", "name": "f", "input": {"arguments": "{half"}}]


def test_a_refusal_is_a_refusal():
    choice = {"index": 0, "message": {"role": "assistant", "refusal": "I cannot."}, "finish_reason": "stop"}
    told = message({"id": "c", "model": "gpt", "choices": [choice]})
    assert (told["content"], told["stop_reason"]) == ([{"type": "text", "text": "I cannot."}], "refusal")
