"""What a request to the gateway ends in that no provider said."""

from __future__ import annotations


class Fault(Exception):
    """An answer that is not a provider's: told to the caller in the shape of the API that it speaks.

    `kind` is one of `KINDS`. `message` never quotes what the caller sent.
    """

    def __init__(self, status: int, kind: str, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message
        self.retry_after_seconds = retry_after_seconds


#: By kind: what OpenAI's API and Anthropic's call it in their `error.type`.
KINDS = {
    "invalid": ("invalid_request_error", "invalid_request_error"),
    "unauthorized": ("authentication_error", "authentication_error"),
    "missing": ("not_found_error", "not_found_error"),
    "too_large": ("invalid_request_error", "request_too_large"),
    "limited": ("rate_limit_error", "rate_limit_error"),
    "stopped": ("insufficient_quota", "billing_error"),
    "upstream": ("server_error", "api_error"),
    "unavailable": ("server_error", "overloaded_error"),
    "timeout": ("server_error", "timeout_error"),
}


def invalid(message: str) -> Fault:
    """The caller asked for what cannot be."""
    return Fault(400, "invalid", message)


def unavailable(message: str, retry_after_seconds: float = 1.0) -> Fault:
    """It could be, a little later."""
    return Fault(503, "unavailable", message, retry_after_seconds)


def stopped(what: str) -> Fault:
    """A budget says so. 402, which the official clients do not try again: OpenAI's own 429 for a used-up quota they do."""
    return Fault(402, "stopped", f"the monthly budget of {what} is used up, and it is to stop then")
