"""Limits on what each tenant sends to an application, the same in all of its processes.

    app = LimitMiddleware(app, limiter, name="api", tenant_of=lambda scope: scope["session"]["tenant"], limits_of=limits)

Put it below the application's own authentication. Answers, as problems of RFC 9457, before the application is called:

    429  the tenant's limit is used up; Retry-After says when to ask again
    503  the limiter cannot say, and nobody is let through unless it can
    413  the request costs more than the tenant's whole limit

A request without a tenant passes unlimited: with `required` it is refused as 403.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from math import ceil
from typing import Any
from urllib.parse import quote

from steward.ratelimit.errors import LimiterUnavailable, LimitReached, NeverFits, RateLimitError
from steward.ratelimit.limiter import AsyncLimiter
from steward.ratelimit.limits import INBOUND, Cost, Limits, Policy, Ring

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: WebSocket close codes (RFC 6455 and its registry): try again later, and a policy's refusal.
_TRY_AGAIN_LATER, _POLICY = 1013, 1008

_log = logging.getLogger("steward.ratelimit")


@dataclass(frozen=True, slots=True)
class Problem:
    """A refusal, as the client is told of it."""

    status: HTTPStatus
    detail: str
    retry_after_seconds: int | None = None

    def body(self) -> bytes:
        """RFC 9457."""
        problem = {"type": "about:blank", "title": self.status.phrase, "status": self.status, "detail": self.detail}
        return json.dumps(problem).encode()

    def headers(self, body: bytes) -> list[tuple[bytes, bytes]]:
        """As ASGI has them."""
        headers = [(b"content-type", b"application/problem+json"), (b"content-length", b"%d" % len(body))]
        if self.retry_after_seconds is not None:
            headers.append((b"retry-after", b"%d" % self.retry_after_seconds))
        return headers


def _one_request(_scope: Scope) -> Cost:
    return Cost()


class LimitMiddleware:
    """Lets HTTP requests and WebSockets through as `limits_of(tenant)` allows; other scopes pass.

    Each tenant has a ring of its own, `NAME:TENANT`, so no tenant's traffic is felt by another. A tenant whose limits
    are None is not limited. *cost_of* goes by what is known before the body is read.
    """

    def __init__(
        self,
        app: App,
        limiter: AsyncLimiter,
        *,
        name: str,
        tenant_of: Callable[[Scope], str | None],
        limits_of: Callable[[str], Limits | None],
        cost_of: Callable[[Scope], Cost] = _one_request,
        policy: Policy = INBOUND,
        required: bool = False,
    ) -> None:
        self._app, self._limiter, self._name, self._policy = app, limiter, name, policy
        self._tenant_of, self._limits_of, self._cost_of, self._required = tenant_of, limits_of, cost_of, required

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        problem = await self._problem(scope) if scope["type"] in {"http", "websocket"} else None
        if problem is None:
            await self._app(scope, receive, send)
        else:
            await _refuse(scope, send, problem)

    async def _problem(self, scope: Scope) -> Problem | None:
        tenant = self._tenant_of(scope)
        if tenant is None:
            return Problem(HTTPStatus.FORBIDDEN, "The request belongs to no tenant.") if self._required else None
        if (limits := self._limits_of(tenant)) is None:
            return None
        try:
            ring = Ring(f"{self._name}:{quote(tenant, safe='')}")
            await self._limiter.reserve(ring, limits, self._policy, tenant, self._cost_of(scope))
        except (LimitReached, NeverFits, LimiterUnavailable) as error:
            return _told(tenant, error)
        return None


def _told(tenant: str, error: RateLimitError) -> Problem:
    if isinstance(error, LimitReached):
        after = max(1, ceil(error.retry_after_seconds))
        return Problem(HTTPStatus.TOO_MANY_REQUESTS, "The tenant's limit is used up for now.", after)
    _log.warning("a request of tenant %r was refused: %s", tenant, error)
    if isinstance(error, NeverFits):
        return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request is above the tenant's whole limit.")
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "Nobody can say now whether the tenant has used its limit up.", 1)


async def _refuse(scope: Scope, send: Send, problem: Problem) -> None:
    body = problem.body()
    start = {"status": problem.status.value, "headers": problem.headers(body)}
    if scope["type"] == "http":
        await send({"type": "http.response.start", **start})
        await send({"type": "http.response.body", "body": body})
    elif "websocket.http.response" in (scope.get("extensions") or {}):
        await send({"type": "websocket.http.response.start", **start})
        await send({"type": "websocket.http.response.body", "body": body})
    else:
        code = _POLICY if problem.retry_after_seconds is None else _TRY_AGAIN_LATER
        await send({"type": "websocket.close", "code": code, "reason": problem.status.phrase})
