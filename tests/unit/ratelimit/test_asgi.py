"""Inbound limits by tenant: who is refused is told so, and the application never hears of it."""

import asyncio
import json

import pytest

from steward.ratelimit import AsyncLimiter, Cost, Limits
from steward.ratelimit.asgi import LimitMiddleware
from steward.ratelimit.errors import LimiterUnavailable


def limiter(answer):
    calls = []

    async def call(function, keys, args):
        calls.append((function, keys, args))
        if isinstance(answer, Exception):
            raise answer
        return answer

    return AsyncLimiter(call), calls


def ask(answer, *, scope=None, **options):
    """The messages that were sent, and the calls of Redis."""
    limiting, calls = limiter(answer)
    sent = []

    async def application(scope, receive, send):
        await send({"type": "answered"})

    async def send(message):
        sent.append(message)

    options = {
        "name": "api",
        "tenant_of": lambda scope: scope.get("tenant"),
        "limits_of": lambda _: Limits(5),
    } | options
    middleware = LimitMiddleware(application, limiting, **options)
    asyncio.run(middleware({"type": "http", "tenant": "acme"} | (scope or {}), None, send))
    return sent, calls


GRANTED, DENIED = [1, 1000, "life"], [0, 1200, "limit", "requests"]
PASSED = [{"type": "answered"}]


def test_a_request_within_the_limit_passes():
    sent, calls = ask(GRANTED)
    assert sent == PASSED
    assert calls[0][1][0] == "limit:{api:acme}"


def test_a_request_above_the_limit_is_told_when_to_come_again():
    sent, _ = ask(DENIED)
    assert sent[0]["status"] == 429
    assert dict(sent[0]["headers"])[b"retry-after"] == b"2"
    assert dict(sent[0]["headers"])[b"content-type"] == b"application/problem+json"
    assert json.loads(sent[1]["body"])["title"] == "Too Many Requests"


def test_nobody_passes_while_the_limiter_cannot_say():
    sent, _ = ask(LimiterUnavailable("Redis at 10.0.0.1 is away"))
    assert sent[0]["status"] == 503
    assert dict(sent[0]["headers"])[b"retry-after"] == b"1"
    assert b"10.0.0.1" not in sent[1]["body"]


def test_a_request_above_the_whole_limit_is_not_asked_to_come_again():
    sent, calls = ask(GRANTED, cost_of=lambda _: Cost(6))
    assert sent[0]["status"] == 413
    assert b"retry-after" not in dict(sent[0]["headers"])
    assert calls == []


@pytest.mark.parametrize(
    "options",
    [{"scope": {"tenant": None}}, {"limits_of": lambda _: None}, {"scope": {"type": "lifespan"}, "required": True}],
)
def test_what_is_not_limited_passes_unasked(options):
    sent, calls = ask(DENIED, **options)
    assert (sent, calls) == (PASSED, [])


def test_a_request_without_a_tenant_is_refused_where_one_is_required():
    assert ask(GRANTED, scope={"tenant": None}, required=True)[0][0]["status"] == 403


def test_a_websocket_is_refused_in_its_own_words():
    sent, _ = ask(DENIED, scope={"type": "websocket"})
    assert sent == [{"type": "websocket.close", "code": 1013, "reason": "Too Many Requests"}]
    answered, _ = ask(DENIED, scope={"type": "websocket", "extensions": {"websocket.http.response": {}}})
    assert [message["type"] for message in answered] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]


def test_a_tenants_name_may_be_anything():
    _, calls = ask(GRANTED, scope={"tenant": "Ünder {score} & co"})
    assert calls[0][1][0] == "limit:{api:%C3%9Cnder%20%7Bscore%7D%20%26%20co}"
