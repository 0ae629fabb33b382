"""What OpenAI's chat API answers, as Anthropic's Messages API says it."""

from __future__ import annotations

import json
from typing import cast

from steward.ai.translation.fields import Json

_STOPPED = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}


def message(completion: Json) -> Json:
    """A whole *completion*."""
    choice = completion["choices"][0]
    said = choice["message"]
    text = said.get("content") or said.get("refusal")
    blocks: list[Json] = [{"type": "text", "text": text}] if text else []
    blocks += [_tool_use(call) for call in said.get("tool_calls") or ()]
    stopped = "refusal" if said.get("refusal") else _stopped(choice["finish_reason"])
    return _message(completion, blocks, stopped, _usage(completion.get("usage")))


def _message(head: Json, content: list[Json], stop_reason: str | None, usage: Json) -> Json:
    return {
        "id": head["id"],
        "type": "message",
        "role": "assistant",
        "model": head["model"],
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": usage,
    }


def _tool_use(call: Json) -> Json:
    function = call["function"]
    return {"type": "tool_use", "id": call["id"], "name": function["name"], "input": _input(function["arguments"])}


def _input(arguments: str) -> Json:
    """A model may write what is no JSON; this API has no other place for it than a member of an object."""
    try:
        told = json.loads(arguments or "{}")
    except ValueError:
        told = None
    return cast("Json", told) if isinstance(told, dict) else {"arguments": arguments}


def _stopped(reason: str | None) -> str:
    return _STOPPED.get(reason or "", "end_turn")


def _usage(told: Json | None) -> Json:
    """`prompt_tokens` holds what was read from a cache or written to it; here the three are told apart."""
    told = told or {}
    details: Json = told.get("prompt_tokens_details") or {}
    read, written = details.get("cached_tokens") or 0, details.get("cache_write_tokens") or 0
    return {
        "input_tokens": max(told.get("prompt_tokens", 0) - read - written, 0),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": told.get("completion_tokens", 0),
    }


class MessageEvents:
    """A stream of chunks, chunk by chunk, as events.

    Usage comes last in that stream and first in this one, so `message_start` tells none; `message_delta` tells all of it.
    """

    def __init__(self) -> None:
        self._begun, self._block, self._call = False, -1, -1
        self._open = ""
        self._stop_reason = ""
        self._told: Json | None = None

    def feed(self, chunk: Json) -> list[Json]:
        """The events that *chunk* comes to."""
        self._told = chunk.get("usage") or self._told
        events = [] if self._begun else [self._start(chunk)]
        for choice in chunk["choices"][:1]:
            events += self._delta(choice["delta"])
            if choice.get("finish_reason"):
                self._stop_reason = _stopped(choice["finish_reason"])
        return events

    @property
    def is_whole(self) -> bool:
        """Why it stopped has been told: only then may `end` be called."""
        return bool(self._stop_reason)

    def end(self) -> list[Json]:
        """After `[DONE]`."""
        delta = {"stop_reason": self._stop_reason, "stop_sequence": None}
        return [
            *self._close(),
            {"type": "message_delta", "delta": delta, "usage": _usage(self._told)},
            {"type": "message_stop"},
        ]

    def _start(self, chunk: Json) -> Json:
        self._begun = True
        return {"type": "message_start", "message": _message(chunk, [], None, _usage(None))}

    def _delta(self, delta: Json) -> list[Json]:
        events: list[Json] = []
        if text := delta.get("content") or delta.get("refusal"):
            events += self._opened("text", {"type": "text", "text": ""}) if self._open != "text" else []
            events.append(self._added({"type": "text_delta", "text": text}))
        for call in delta.get("tool_calls") or ():
            events += self._called(call)
        return events

    def _called(self, call: Json) -> list[Json]:
        function, events = call.get("function") or {}, list[Json]()
        if call["index"] != self._call or self._open != "tool_use":
            self._call = call["index"]
            begun = {"type": "tool_use", "id": call["id"], "name": function["name"], "input": {}}
            events += self._opened("tool_use", begun)
        if arguments := function.get("arguments"):
            events.append(self._added({"type": "input_json_delta", "partial_json": arguments}))
        return events

    def _opened(self, kind: str, block: Json) -> list[Json]:
        closed = self._close()
        self._block += 1
        self._open = kind
        return [*closed, {"type": "content_block_start", "index": self._block, "content_block": block}]

    def _added(self, delta: Json) -> Json:
        return {"type": "content_block_delta", "index": self._block, "delta": delta}

    def _close(self) -> list[Json]:
        if not self._open:
            return []
        self._open = ""
        return [{"type": "content_block_stop", "index": self._block}]
