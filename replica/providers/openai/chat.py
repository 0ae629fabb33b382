"""`POST /v1/chat/completions`: shapes of `openai/types/chat`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec

from replica.providers import composing
from replica.providers.api import Event, Request, Served
from replica.providers.catalogue import Model
from replica.providers.errors import Refusal
from replica.providers.exchange import Exchange, dumps
from replica.providers.fields import Fields
from replica.providers.openai import errors
from replica.providers.openai.api import OpenAi, line, read_body, read_model
from replica.providers.prompt_cache import Block

# What OpenAI's own guide adds for the frame of a message.
_FRAME_TOKENS = 3
# Those that any model has.
_TIERS = ("auto", "default", "flex", "priority")
_FINISH = {"stop": "stop", "length": "length", "tool": "tool_calls"}


class Chat(OpenAi):
    """The endpoint."""

    endpoint = "chat.completions"

    def read(self, exchange: Exchange, content: bytes) -> Request:
        """Refusal 400 or 404 for what cannot be served."""
        del exchange
        body = read_body(content)
        model = read_model(body)
        if model.embedding:
            raise Refusal(
                404,
                "This is not a chat model and thus not supported in the v1/chat/completions endpoint.",
                param="model",
            )
        fields = Fields(body, errors.invalid_type)
        if fields.whole("n") not in {None, 1}:
            raise errors.invalid_value("n", "This twin answers with one choice: 'n' must be 1.")
        messages = _messages(fields)
        tools = fields.objects("tools")
        return Request(
            body=body,
            model=model,
            stream=fields.flag("stream"),
            most=_most(fields),
            blocks=[_block(each.of) for each in (*tools, *messages)],
            tool=_tool(fields, tools, messages),
            tier_asked=_tier(fields, model),
            usage_in_stream=fields.mapping("stream_options").flag("include_usage"),
        )

    def answer(self, served: Served) -> dict[str, Any]:
        """`chat.completion`."""
        return {**_envelope(served, "chat.completion"), "choices": [_choice(served)], "usage": _usage(served)}

    def events(self, served: Served) -> list[Event]:
        """One chunk a token, then the reason why it ends, then (if asked for) usage, then `[DONE]`."""
        envelope = _envelope(served, "chat.completion.chunk")
        if served.request.usage_in_stream:
            envelope["usage"] = None
        events = [_chunk(envelope, delta, None, output) for delta, output in _deltas(served)]
        events.append(_chunk(envelope, {}, _FINISH[served.composed.finish], served.composed.output))
        if served.request.usage_in_stream:
            usage = {**envelope, "choices": [], "usage": _usage(served)}
            events.append(Event(line(usage), served.composed.output, closing=True))
        events.append(Event(b"data: [DONE]\n\n", served.composed.output, closing=True))
        return events


def _most(fields: Fields) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        value = fields.whole(name)
        if value is not None and value < 1:
            raise errors.invalid_value(
                name, f"Invalid '{name}': integer below minimum value. Expected a value >= 1, but got {value} instead."
            )
        if value is not None:
            return value
    return None


def _tier(fields: Fields, model: Model) -> str:
    tier = fields.text("service_tier")
    if tier and tier not in _TIERS:
        raise errors.invalid_value(
            "service_tier", f"Invalid value: '{tier[:40]}'. Supported values are: {', '.join(_TIERS)}."
        )
    if tier not in {"", "auto", "default", *model.tiers}:
        raise errors.invalid_value("service_tier", f"Unsupported service_tier: {tier}")
    return tier


def _messages(fields: Fields) -> list[Fields]:
    if fields.of.get("messages") is None:
        raise errors.missing("messages")
    messages = fields.objects("messages")
    if not messages:
        raise errors.invalid_value(
            "messages",
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        )
    for each in messages:
        if not each.text("role"):
            raise errors.missing(f"{each.path}role")
    return messages


def _block(value: Mapping[str, Any]) -> Block:
    content = msgspec.json.encode(value, order="deterministic")
    text = value.get("content")
    measured = text.encode() if isinstance(text, str) else content
    return Block(content, composing.count(measured) + _FRAME_TOKENS)


def _tool(fields: Fields, tools: list[Fields], messages: list[Fields]) -> tuple[str, Mapping[str, Any]] | None:
    """The tool that is called: the one demanded, else the first, unless its result was just given."""
    functions = [each.mapping("function") for each in tools]
    choice = fields.of.get("tool_choice") or "auto"
    if not functions or choice == "none" or (choice == "auto" and messages[-1].text("role") == "tool"):
        return None
    chosen = functions[0]
    if not isinstance(choice, str):
        demanded = fields.mapping("tool_choice").mapping("function").text("name")
        named = [each for each in functions if each.text("name") == demanded]
        if not named:
            raise errors.invalid_value("tool_choice", f"Tool choice '{demanded[:80]}' not found in 'tools' parameter.")
        chosen = named[0]
    return chosen.text("name"), chosen.mapping("parameters").of


def _envelope(served: Served, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{served.request_id.removeprefix('req_')}",
        "object": kind,
        "created": int(time.time()),
        "model": served.request.model.name,
        "service_tier": served.tier,
        "system_fingerprint": f"fp_{served.seed:010x}",
    }


def _usage(served: Served) -> dict[str, Any]:
    split, composed = served.split, served.composed
    return {
        "prompt_tokens": split.total,
        "completion_tokens": composed.output,
        "total_tokens": split.total + composed.output,
        "prompt_tokens_details": {
            "cached_tokens": split.read,
            "audio_tokens": 0,
            "cache_write_tokens": split.write_30m,
        },
        "completion_tokens_details": {
            "reasoning_tokens": composed.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _choice(served: Served) -> dict[str, Any]:
    composed = served.composed
    message: dict[str, Any] = {"role": "assistant", "content": composed.text, "refusal": None, "annotations": []}
    if composed.tool:
        message |= {"content": None, "tool_calls": [_call(served, dumps(composed.arguments).decode())]}
    return {"index": 0, "message": message, "logprobs": None, "finish_reason": _FINISH[composed.finish]}


def _call(served: Served, arguments: str) -> dict[str, Any]:
    function = {"name": served.composed.tool, "arguments": arguments}
    return {"id": f"call_{served.request_id.removeprefix('req_')}", "type": "function", "function": function}


def _deltas(served: Served) -> list[tuple[dict[str, Any], int]]:
    """(delta, tokens written once it is out). What is thought was written before the first word."""
    composed = served.composed
    if composed.tool:
        called = {"index": 0, **_call(served, "")}
        first = {"role": "assistant", "content": None, "tool_calls": [called], "refusal": None}
        arguments = {"tool_calls": [{"index": 0, "function": {"arguments": dumps(composed.arguments).decode()}}]}
        return [(first, composed.reasoning), (arguments, composed.output)]
    deltas: list[tuple[dict[str, Any], int]] = [
        ({"role": "assistant", "content": "", "refusal": None}, composed.reasoning)
    ]
    for number, word in enumerate(composed.words):
        deltas.append(({"content": f" {word}" if number else word}, composed.reasoning + number + 1))
    return deltas


def _chunk(envelope: dict[str, Any], delta: dict[str, Any], finish: str | None, output: int) -> Event:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return Event(line({**envelope, "choices": [choice]}), output)
