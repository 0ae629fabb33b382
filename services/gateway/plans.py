"""A request as one route's provider is to get it, and what it may cost at most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from services.gateway.asked import Asked, Endpoint
from steward.ai.catalog import Route
from steward.ai.translation.errors import NotTranslatable
from steward.ai.translation.to_chat import chat_request
from steward.ai.translation.to_messages import messages_request
from steward.ratelimit import Cost, Limits


@dataclass(frozen=True, slots=True)
class Plan:
    """One way to serve a request."""

    route: Route
    provider: str
    endpoint: Endpoint
    """At the provider."""
    body: bytes
    most: Cost
    is_translated: bool


def plan(asked: Asked, route: Route, provider: str) -> Plan:
    """Raises NotTranslatable where the provider's API cannot say it."""
    most_output = min(asked.most_output or route.most_output_tokens, route.most_output_tokens)
    is_translated = asked.endpoint.speaks != provider
    if asked.endpoint is Endpoint.EMBEDDINGS:
        if is_translated:
            raise NotTranslatable(f"{provider} makes no embeddings", hint="route the alias to who does")
        endpoint, body = asked.endpoint, {**asked.body, "model": route.model}
    elif is_translated:
        endpoint, body = _translated(asked, route, most_output)
    else:
        endpoint, body = asked.endpoint, _bounded(asked, route, most_output)
    return Plan(route, provider, endpoint, msgspec.json.encode(body), _most(asked, route, most_output), is_translated)


def _translated(asked: Asked, route: Route, most_output: int) -> tuple[Endpoint, dict[str, Any]]:
    if asked.endpoint is Endpoint.CHAT:
        body = messages_request(dict(asked.body), route.model, most_output)
        return Endpoint.MESSAGES, body | {"max_tokens": most_output}
    body = chat_request(dict(asked.body), route.model)
    return Endpoint.CHAT, body | {"max_completion_tokens": most_output}


def _bounded(asked: Asked, route: Route, most_output: int) -> dict[str, Any]:
    """What is reserved is what may come: a request without a bound gets one. Streams tell their usage."""
    body = {**asked.body, "model": route.model}
    if asked.endpoint is Endpoint.MESSAGES:
        return body | {"max_tokens": most_output}
    # The older name where the caller used it alone: older models know no other.
    name = (
        "max_tokens" if "max_tokens" in body and body.get("max_completion_tokens") is None else "max_completion_tokens"
    )
    body[name] = most_output
    if asked.is_stream:
        body["stream_options"] = {**asked.stream_options, "include_usage": True}
    return body


def _most(asked: Asked, route: Route, most_output: int) -> Cost:
    """No token is shorter than a byte. What is more than a whole limit is reserved as all of it, and the rest is debt."""
    limits = limits_of(route)
    total = limits.tokens or 10**12
    output = min(most_output, total)
    given = min(asked.bytes, limits.input_tokens or 10**12, total - output)
    return Cost(1, given, output)


def limits_of(route: Route) -> Limits:
    """As the limiter has them."""
    told = route.limits
    return Limits(told.requests, told.input_tokens, told.output_tokens, told.tokens)
