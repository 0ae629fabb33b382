"""`POST /v1/chat/completions`: shapes of `openai/types/chat`."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from replica.providers import composing
from replica.providers.api import Event, Request, Served
from replica.providers.errors import Refusal
from replica.providers.exchange import Exchange, dumps
from replica.providers.openai import errors
from replica.providers.openai.api import OpenAi, line, read_body, read_model
from replica.providers.prompt_cache import Block

# What OpenAI's own guide adds for the frame of a message.
_FRAME_TOKENS = 3
# Those that have a price here.
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
        if body.get("n") not in {None, 1}:
            raise errors.invalid_value("n", "This twin answers with one choice: 'n' must be 1.")
        return Request(
            body=body,
            model=model,
            stream=bool(body.get("stream")),
            most=_most(body),
            blocks=_blocks(body),
            tool=_tool(body),
            tier_asked=_tier(body),
            usage_in_stream=bool((body.get("stream_options") or {}).get("include_usage")),
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


def _most(body: dict[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            raise errors.invalid_type(name, "an integer", value)
        if value < 1:
            raise errors.invalid_value(
                name, f"Invalid '{name}': integer below minimum value. Expected a value >= 1, but got {value} instead."
            )
        return value
    return None


def _tier(body: dict[str, Any]) -> str:
    tier = body.get("service_tier") or ""
    if tier and tier not in _TIERS:
        raise errors.invalid_value(
            "service_tier", f"Invalid value: '{str(tier)[:40]}'. Supported values are: {', '.join(_TIERS)}."
        )
    return tier


def _blocks(body: dict[str, Any]) -> list[Block]:
    messages = body.get("messages")
    if messages is None:
        raise errors.missing("messages")
    if not isinstance(messages, list):
        raise errors.invalid_type("messages", "an array of objects", messages)
    if not messages:
        raise errors.invalid_value(
            "messages",
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        )
    tools = [_block(tool) for tool in body.get("tools") or []]
    return tools + [_message(index, each) for index, each in enumerate(messages)]


def _message(index: int, message: Any) -> Block:
    if not isinstance(message, dict):
        raise errors.invalid_type(f"messages[{index}]", "an object", message)
    if not isinstance(message.get("role"), str):
        raise errors.missing(f"messages[{index}].role")
    return _block(message)


def _block(value: Any) -> Block:
    content = msgspec.json.encode(value, order="deterministic")
    text = value.get("content") if isinstance(value, dict) else None
    measured = text.encode() if isinstance(text, str) else content
    return Block(content, composing.count(measured) + _FRAME_TOKENS)


def _tool(body: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The tool that is called: the one demanded, else the first, unless its result was just given."""
    tools = [each.get("function") or {} for each in body.get("tools") or [] if isinstance(each, dict)]
    choice = body.get("tool_choice", "auto")
    if not tools or choice == "none":
        return None
    demanded = (choice.get("function") or {}).get("name") if isinstance(choice, dict) else None
    if choice == "auto" and body["messages"][-1].get("role") == "tool":
        return None
    chosen = next((each for each in tools if each.get("name") == demanded), None) if demanded else tools[0]
    if chosen is None:
        raise errors.invalid_value("tool_choice", f"Tool choice '{str(demanded)[:80]}' not found in 'tools' parameter.")
    return str(chosen.get("name", "")), chosen.get("parameters") or {}


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
