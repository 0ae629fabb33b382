"""Headers of OpenAI's answers."""

from __future__ import annotations

from collections.abc import Sequence

from replica.providers.configuration import Account
from replica.providers.exchange import Exchange
from replica.providers.limits import Level
from replica.providers.openai import errors


def build(account: Account | None, project: str, request_id: str, levels: Sequence[Level]) -> dict[str, str]:
    """`x-request-id`, and what is left of requests and tokens."""
    headers = {"x-request-id": request_id, "openai-version": "2020-10-01", "openai-processing-ms": "1"}
    if account:
        headers["openai-organization"] = account.organization
    if project:
        headers["openai-project"] = project
    for level in levels:
        if level.dimension in {"requests", "tokens"}:
            headers[f"x-ratelimit-limit-{level.dimension}"] = str(level.limit)
            headers[f"x-ratelimit-remaining-{level.dimension}"] = str(level.remaining)
            headers[f"x-ratelimit-reset-{level.dimension}"] = errors.duration(level.reset_seconds)
    return headers


def bearer(exchange: Exchange) -> str:
    """The key that the caller shows; Refusal 401 where there is none."""
    scheme, _, secret = exchange.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise errors.no_key()
    return secret.strip()
