"""What is said to a caller, in the words of the API that it speaks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from services.gateway.asked import Asked, Endpoint
from services.gateway.errors import KINDS, Fault
from services.gateway.events import Event
from services.gateway.plans import Plan
from steward.ai.translation.chat_answers import ChatChunks, chat_completion
from steward.ai.translation.message_answers import MessageEvents, message

Json = dict[str, Any]
_JSON = (b"content-type", b"application/json")
_CODES = {
    "unauthorized": "invalid_api_key",
    "missing": "model_not_found",
    "limited": "rate_limit_exceeded",
    "stopped": "insufficient_quota",
}
EVENT_STREAM = (b"content-type", b"text/event-stream; charset=utf-8")


def fault_body(speaks: str, fault: Fault) -> bytes:
    """As the providers word errors. https://platform.openai.com/docs/guides/error-codes, https://docs.claude.com/en/api/errors"""
    openai, anthropic = KINDS[fault.kind]
    if speaks == "anthropic":
        return msgspec.json.encode({"type": "error", "error": {"type": anthropic, "message": fault.message}})
    error = {"message": fault.message, "type": openai, "param": None, "code": _code(fault)}
    return msgspec.json.encode({"error": error})


def _code(fault: Fault) -> str | None:
    return _CODES.get(fault.kind)


def fault_headers(fault: Fault) -> list[tuple[bytes, bytes]]:
    """With the pause that it asks for: whole seconds for everybody, and milliseconds for the official clients."""
    if fault.retry_after_seconds is None:
        return [_JSON]
    pause = fault.retry_after_seconds
    return [
        _JSON,
        (b"retry-after", str(math.ceil(pause)).encode()),
        (b"retry-after-ms", str(math.ceil(pause * 1000)).encode()),
    ]


def fault_event(speaks: str, fault: Fault) -> bytes:
    """In a stream whose head has been sent."""
    body = fault_body(speaks, fault)
    return b"event: error\ndata: " + body + b"\n\n" if speaks == "anthropic" else b"data: " + body + b"\n\n"


def whole(asked: Asked, plan: Plan, raw: bytes, told: Json) -> bytes:
    """An answer that is no stream."""
    if not plan.is_translated:
        return raw
    if asked.endpoint is Endpoint.CHAT:
        return msgspec.json.encode(chat_completion(told, int(time.time())))
    return msgspec.json.encode(message(told))


class Said(Protocol):
    """A provider's stream as the caller is to have it."""

    def event(self, event: Event, told: Json | None) -> bytes:
        """What *event*, with its JSON, comes to; nothing where it has no equal."""
        ...

    def end(self) -> bytes:
        """After the last, where the stream was whole."""
        ...


def said(asked: Asked, plan: Plan) -> Said:
    """A new one."""
    if not plan.is_translated:
        return _AsItCame(without_usage=asked.endpoint is Endpoint.CHAT and not asked.wants_usage)
    if asked.endpoint is Endpoint.CHAT:
        return _Chunks(ChatChunks(int(time.time()), include_usage=asked.wants_usage))
    return _Messages(MessageEvents())


class _AsItCame:
    """Byte by byte; without the usage that only the ledger asked for."""

    def __init__(self, *, without_usage: bool) -> None:
        self._without_usage = without_usage

    def event(self, event: Event, told: Json | None) -> bytes:
        if self._without_usage and told is not None and not told.get("choices") and told.get("usage"):
            return b""
        return event.raw

    def end(self) -> bytes:
        return b""


class _Chunks:
    def __init__(self, chunks: ChatChunks) -> None:
        self._feed = chunks.feed

    def event(self, event: Event, told: Json | None) -> bytes:  # noqa: ARG002  its JSON is all of it
        return _encoded(self._feed, told, lambda _: b"")

    def end(self) -> bytes:
        return b"data: [DONE]\n\n"


class _Messages:
    def __init__(self, events: MessageEvents) -> None:
        self._events = events

    def event(self, event: Event, told: Json | None) -> bytes:  # noqa: ARG002  its JSON is all of it
        return _encoded(self._events.feed, told, _named)

    def end(self) -> bytes:
        return b"".join(_line(each, _named) for each in self._events.end())


def _encoded(feed: Callable[[Json], list[Json]], told: Json | None, named: Callable[[Json], bytes]) -> bytes:
    return b"" if told is None else b"".join(_line(each, named) for each in feed(told))


def _line(told: Json, named: Callable[[Json], bytes]) -> bytes:
    return named(told) + b"data: " + msgspec.json.encode(told) + b"\n\n"


def _named(told: Json) -> bytes:
    return b"event: " + told["type"].encode() + b"\n"
