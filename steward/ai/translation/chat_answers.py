"""What Anthropic's Messages API answers, as OpenAI's chat API says it."""

from __future__ import annotations

import json
from typing import Any

from steward.ai.translation.fields import Json, without_absent

#: https://docs.anthropic.com/en/api/handling-stop-reasons
_FINISHED = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def chat_completion(message: Json, created: int) -> Json:
    """A whole *message*; *created*: Unix time. Thinking is left out, for a caller of this API has not asked for it."""
    calls = [_call(block) for block in message["content"] if block["type"] == "tool_use"]
    text = "".join(block["text"] for block in message["content"] if block["type"] == "text")
    said = {"role": "assistant", "content": text or None, "refusal": None, "tool_calls": calls or None}
    if not calls:
        del said["tool_calls"]
    choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": _finished(message["stop_reason"])}
    return {
        "id": message["id"],
        "object": "chat.completion",
        "created": created,
        "model": message["model"],
        "choices": [choice],
        "usage": _usage(message["usage"]),
    }


def _call(block: Json) -> Json:
    function = {"name": block["name"], "arguments": json.dumps(block["input"])}
    return {"id": block["id"], "type": "function", "function": function}


def _finished(reason: str | None) -> str:
    return _FINISHED.get(reason or "", "stop")


def _usage(told: Json) -> Json:
    """Here `prompt_tokens` holds what was read from a cache or written to it; there the three are told apart."""
    read, written = told.get("cache_read_input_tokens") or 0, told.get("cache_creation_input_tokens") or 0
    prompt, completion = told.get("input_tokens", 0) + read + written, told.get("output_tokens", 0)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
    }


class ChatChunks:
    """A stream of events, event by event, as chunks; after the last the caller ends the stream with `[DONE]`."""

    def __init__(self, created: int, *, include_usage: bool) -> None:
        self._created, self._include_usage = created, include_usage
        self._head: Json = {}
        self._usage: Json = {}
        self._call = -1

    def feed(self, event: Json) -> list[Json]:
        """The chunks that *event* comes to; none for a ping, and for what has no equal."""
        match event["type"]:
            case "message_start":
                return self._begun(event["message"])
            case "content_block_start":
                return self._block(event["content_block"])
            case "content_block_delta":
                return self._delta(event["delta"])
            case "message_delta":
                self._usage |= without_absent(event["usage"])
                return [self._chunk({}, _finished(event["delta"].get("stop_reason")))]
            case "message_stop" if self._include_usage:
                return [{**self._head, "choices": [], "usage": _usage(self._usage)}]
            case _:
                return []

    def _begun(self, message: Json) -> list[Json]:
        self._usage = without_absent(message["usage"])
        self._head = {
            "id": message["id"],
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": message["model"],
        }
        return [self._chunk({"role": "assistant", "content": "", "refusal": None})]

    def _block(self, block: Json) -> list[Json]:
        if block["type"] != "tool_use":
            return []
        self._call += 1
        call = {"id": block["id"], "type": "function", "function": {"name": block["name"], "arguments": ""}}
        return [self._called(call)]

    def _delta(self, delta: Json) -> list[Json]:
        if delta["type"] == "text_delta":
            return [self._chunk({"content": delta["text"]})]
        if delta["type"] == "input_json_delta":
            return [self._called({"function": {"arguments": delta["partial_json"]}})]
        return []

    def _called(self, call: Json) -> Json:
        return self._chunk({"tool_calls": [{"index": self._call, **call}]})

    def _chunk(self, delta: Json, finish_reason: str | None = None) -> Json:
        choice: dict[str, Any] = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**self._head, "choices": [choice], **({"usage": None} if self._include_usage else {})}
