"""Errors as OpenAI words them: `{"error": {"message", "type", "param", "code"}}`.

Texts of 401, 404, 429 and of unparsable JSON are those that users report; others are of the same shape, in words of our own.
"""

from __future__ import annotations

import math
from typing import Any

from replica.providers.catalogue import Model
from replica.providers.configuration import Account
from replica.providers.errors import Refusal
from replica.providers.limits import Excess

_WORDS = {
    401: "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys.",
    403: "You have insufficient permissions for this operation.",
    413: "The request body is too large.",
    429: "You exceeded your current rate limit, please slow down.",
    500: "The server had an error while processing your request. Sorry about that!",
    502: "Bad gateway.",
    503: "The server is currently overloaded with other requests. Sorry about that! Please retry your request after a brief wait.",
    504: "The request timed out. Please retry.",
}
_SERVER = 500
_THROTTLED = 429
_NAMES = {"requests": "requests per min (RPM)", "tokens": "tokens per min (TPM)"}


def body(refusal: Refusal) -> dict[str, Any]:
    """An error's body."""
    kind = refusal.kind or _kind(refusal.status)
    message = refusal.message or _WORDS.get(refusal.status, "The request could not be served.")
    code = refusal.code or ("rate_limit_exceeded" if refusal.status == _THROTTLED else None)
    return {"error": {"message": message, "type": kind, "param": refusal.param, "code": code}}


def unparsable() -> Refusal:
    """400."""
    return Refusal(
        400,
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
        "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)",
    )


def missing(param: str) -> Refusal:
    """400: a parameter is not there."""
    if param == "model":
        return Refusal(400, "you must provide a model parameter")
    return Refusal(400, f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")


def invalid_type(param: str, expected: str, seen: Any) -> Refusal:
    """400: a parameter is of another type."""
    expected = "an array of objects" if param == "messages" else expected
    return Refusal(
        400,
        f"Invalid type for '{param}': expected {expected}, but got {_type(seen)} instead.",
        param=param,
        code="invalid_type",
    )


def invalid_value(param: str, message: str) -> Refusal:
    """400: a parameter's value cannot be."""
    return Refusal(400, message, param=param, code="invalid_value")


def unknown_model(name: str) -> Refusal:
    """404."""
    return Refusal(
        404, f"The model `{name[:80]}` does not exist or you do not have access to it.", code="model_not_found"
    )


def no_key() -> Refusal:
    """401 without a key."""
    return Refusal(
        401,
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
        "(i.e. Authorization: Bearer YOUR_KEY).",
    )


def throttled(account: Account, model: Model, excess: Excess) -> Refusal:
    """429 with the wait in words and in headers; one that never fits says so and has none."""
    level = excess.level
    name = _NAMES.get(level.dimension, level.dimension.replace("_", " ") + " per min")
    where = f"for {model.name} in organization {account.organization} on {name}: Limit {level.limit}"
    kind = "requests" if level.dimension == "requests" else "tokens"
    if math.isinf(excess.retry_seconds):
        message = f"Request too large {where}, Requested {excess.requested}."
        return Refusal(429, message, kind=kind, code="rate_limit_exceeded")
    milliseconds = max(1, math.ceil(excess.retry_seconds * 1000))
    message = (
        f"Rate limit reached {where}, Used {level.used}, Requested {excess.requested}. "
        f"Please try again in {duration(excess.retry_seconds)}."
    )
    headers = {"retry-after": str(math.ceil(milliseconds / 1000)), "retry-after-ms": str(milliseconds)}
    return Refusal(429, message, kind=kind, code="rate_limit_exceeded", headers=headers)


def duration(seconds: float) -> str:
    """`12ms`, `1.5s`, `6m0s`, as the headers and messages write it."""
    milliseconds = math.ceil(seconds * 1000)
    if milliseconds < 1000:  # noqa: PLR2004 -- a second
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    return (f"{minutes}m" if minutes else "") + f"{rest / 1000:g}s"


def _kind(status: int) -> str:
    if status == _THROTTLED:
        return "requests"
    return "server_error" if status >= _SERVER else "invalid_request_error"


def _type(value: Any) -> str:
    names = {str: "a string", bool: "a boolean", int: "an integer", float: "a decimal number", list: "an array"}
    return "null" if value is None else names.get(type(value), "an object")
