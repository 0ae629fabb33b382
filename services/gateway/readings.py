"""What a provider's answer tells of itself: usage, model, tier, whether it is whole. Contents are looked through, not kept."""

from __future__ import annotations

from typing import Any, Protocol, cast

import msgspec

from services.gateway.events import Event
from steward.ai.usage import Usage, anthropic_usage, openai_usage

Json = dict[str, Any]


class StreamFailed(Exception):
    """The provider ended its stream with an error of its own; `kind` is its name for it."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Reading(Protocol):
    """One answer's own account."""

    request_id: str | None
    model: str | None
    tier: str | None
    tokens: int
    """Events with something in them so far: each holds a token at least."""
    is_whole: bool

    def feed(self, event: Event) -> Json | None:
        """Take *event* in; its JSON, where it has one. Raises StreamFailed, msgspec.DecodeError."""
        ...

    def usage(self) -> Usage:
        """Raises UsageUnreadable where it was not told."""
        ...

    def whole(self, body: Json) -> Usage:
        """Of an answer that is no stream."""
        ...


class OpenAiReading:
    """Chat completions and embeddings."""

    def __init__(self) -> None:
        self.request_id: str | None = None
        self.model: str | None = None
        self.tier: str | None = None
        self.tokens, self.is_whole, self._finished = 0, False, False
        self._usage: Json | None = None

    def feed(self, event: Event) -> Json | None:
        if not event.data:
            return None
        if event.data.strip() == b"[DONE]":
            # A stream that ends in good order and told neither why nor how much is a part of one.
            self.is_whole = self._finished
            return None
        chunk = _json(event.data)
        if "error" in chunk:
            raise StreamFailed(_name(chunk["error"]))
        self._head(chunk)
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            self.tokens += bool(delta.get("content") or delta.get("tool_calls") or delta.get("refusal"))
            self._finished = self._finished or choice.get("finish_reason") is not None
        self._usage = chunk.get("usage") or self._usage
        return chunk

    def usage(self) -> Usage:
        return openai_usage(self._usage)

    def whole(self, body: Json) -> Usage:
        self._head(body)
        return openai_usage(body.get("usage"))

    def _head(self, told: Json) -> None:
        self.request_id = told.get("id") or self.request_id
        self.model = told.get("model") or self.model
        self.tier = told.get("service_tier") or self.tier


class AnthropicReading:
    """Messages."""

    def __init__(self) -> None:
        self.request_id: str | None = None
        self.model: str | None = None
        self.tier: str | None = None
        self.tokens, self.is_whole = 0, False
        self._usage: Json | None = None
        self._is_final = False

    def feed(self, event: Event) -> Json | None:
        if not event.data:
            return None
        told = _json(event.data)
        match told.get("type"):
            case "error":
                raise StreamFailed(_name(told.get("error")))
            case "message_start":
                self._head(told["message"])
                self._usage = dict(told["message"]["usage"])
            case "content_block_delta":
                self.tokens += 1
            case "message_delta":
                given = {name: value for name, value in told["usage"].items() if value is not None}
                self._usage, self._is_final = {**(self._usage or {}), **given}, True
            case "message_stop":
                self.is_whole = self._is_final
            case _:
                pass
        return told

    def usage(self) -> Usage:
        """Before the last event, of its input alone: the output so far is not told."""
        return anthropic_usage(self._usage)

    def whole(self, body: Json) -> Usage:
        self._head(body)
        return anthropic_usage(body.get("usage"))

    def _head(self, told: Json) -> None:
        self.request_id, self.model = told.get("id"), told.get("model")
        self.tier = (told.get("usage") or {}).get("service_tier")


def reading_of(provider: str) -> Reading:
    """A new one."""
    return AnthropicReading() if provider == "anthropic" else OpenAiReading()


def error_class(body: bytes) -> str | None:
    """A provider's name for its error, never its message, which may quote the request."""
    try:
        return _name(_json(body).get("error"))
    except (msgspec.DecodeError, TypeError):
        return None


def _json(data: bytes) -> Json:
    told: object = msgspec.json.decode(data)
    if not isinstance(told, dict):
        raise msgspec.DecodeError("no object")
    return cast("Json", told)


def _name(error: object) -> str:
    told = cast("Json", error) if isinstance(error, dict) else {}
    return str(told.get("type") or told.get("code") or "error")
