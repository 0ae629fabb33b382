"""Errors as Anthropic words them: `{"type": "error", "error": {"type", "message"}, "request_id"}`."""

from __future__ import annotations

import math
from typing import Any

from replica.providers.catalogue import Model
from replica.providers.configuration import Account
from replica.providers.errors import Refusal
from replica.providers.limits import Excess

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_WORDS = {
    401: "invalid x-api-key",
    403: "Your API key does not have permission to use the specified resource.",
    429: "This request would exceed your account's rate limit. Please try again later.",
    500: "Internal server error",
    503: "Service unavailable",
    504: "Request timed out",
    529: "Overloaded",
}
_NAMES = {
    "requests": "requests",
    "tokens": "tokens",
    "input_tokens": "input tokens",
    "output_tokens": "output tokens",
}
_SERVER = 500
_TYPES = {"an object": "dictionary", "an array": "list"}


def body(refusal: Refusal, request_id: str) -> dict[str, Any]:
    """An error's body."""
    status = refusal.status
    kind = refusal.kind or _KINDS.get(status, "api_error" if status >= _SERVER else "invalid_request_error")
    message = refusal.message or _WORDS.get(status, "The request could not be served.")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}


def invalid(message: str) -> Refusal:
    """400."""
    return Refusal(400, message)


def invalid_type(name: str, expected: str, seen: Any) -> Refusal:
    """400: a field is of another type."""
    del seen
    kind = _TYPES.get(expected, expected.partition(" ")[2])
    return invalid(f"{name}: Input should be a valid {kind}")


def throttled(account: Account, model: Model, excess: Excess, window_seconds: float) -> Refusal:
    """429; `retry-after` in whole seconds unless no waiting cures it."""
    level = excess.level
    per = "minute" if window_seconds == 60 else f"{window_seconds:g} seconds"  # noqa: PLR2004 -- a minute
    message = (
        f"This request would exceed your organization's rate limit of {level.limit:,} {_NAMES[level.dimension]} per {per} "
        f"(org: {account.organization}, model: {model.name}). For details, refer to: "
        "https://docs.claude.com/en/api/rate-limits. You can see the response headers for current usage. Please reduce the "
        "prompt length or the maximum tokens requested, or try again later."
    )
    if math.isinf(excess.retry_seconds):
        return Refusal(429, message)
    return Refusal(429, message, headers={"retry-after": str(max(1, math.ceil(excess.retry_seconds)))})
