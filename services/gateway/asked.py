"""What a caller asks for, as far as it has to be understood to be sent on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

import msgspec

from services.gateway.callers import Caller
from services.gateway.errors import Fault, invalid

#: Images in base64 are the largest part of any request; both providers refuse 32 MB.
MOST_BYTES = 32 * 1024 * 1024


class Endpoint(StrEnum):
    """Of the gateway, by the path it has at the provider too."""

    CHAT = "/v1/chat/completions"
    EMBEDDINGS = "/v1/embeddings"
    MESSAGES = "/v1/messages"

    @property
    def speaks(self) -> str:
        """Whose API it is."""
        return "anthropic" if self is Endpoint.MESSAGES else "openai"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    endpoint: Endpoint
    body: Mapping[str, Any]
    bytes: int
    alias: str
    is_stream: bool
    most_output: int | None
    """As the caller bounds it."""
    stream_options: Mapping[str, Any]
    tier: str | None
    headers: Mapping[str, str]
    """Those that are the provider's business: versions and betas."""

    @property
    def wants_usage(self) -> bool:
        """At the end of an OpenAI stream, where it comes only to those who ask for it."""
        return self.stream_options.get("include_usage") is True


@dataclass(frozen=True, slots=True)
class Request:
    """Whose it is, and under which name all its attempts are in the ledger."""

    id: UUID
    caller: Caller
    asked: Asked


def read(endpoint: Endpoint, raw: bytes, headers: Mapping[str, str]) -> Asked:
    """Raises Fault 400, which quotes nothing of what was sent."""
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise invalid("the body is no JSON") from None
    if not isinstance(body, dict):
        raise invalid("the body is no JSON object")
    told = cast("dict[str, Any]", body)
    alias = told.get("model")
    if not isinstance(alias, str) or not alias:
        raise invalid("model is missing: expected a text")
    stream = _optional(told, "stream", bool) or False
    if stream and endpoint is Endpoint.EMBEDDINGS:
        raise invalid("embeddings are not streamed")
    options = _optional(told, "stream_options", dict) or {}
    return Asked(
        endpoint=endpoint,
        body=told,
        bytes=len(raw),
        alias=alias,
        is_stream=stream,
        most_output=_most_output(endpoint, told),
        stream_options=options,
        tier=_optional(told, "service_tier", str),
        headers={name: headers[name] for name in ("anthropic-version", "anthropic-beta") if name in headers},
    )


def _most_output(endpoint: Endpoint, body: Mapping[str, Any]) -> int | None:
    names = ("max_tokens",) if endpoint is Endpoint.MESSAGES else ("max_completion_tokens", "max_tokens")
    bounds = [bound for name in names if (bound := _optional(body, name, int)) is not None]
    if any(bound < 1 for bound in bounds):
        raise invalid(f"{names[0]} is below 1")
    if endpoint is Endpoint.MESSAGES and not bounds:
        raise invalid("max_tokens is missing: expected a whole number")
    return min(bounds, default=None)


def _optional(body: Mapping[str, Any], name: str, kind: type) -> Any:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise invalid(f"{name} is no {kind.__name__}")
    return value


def too_large() -> Fault:
    """Before the body is read to its end."""
    return Fault(413, "too_large", f"the body is larger than {MOST_BYTES // 1024**2} MB")
