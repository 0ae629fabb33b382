"""The tenant of each request, bound for as long as the request lasts.

    app = TenantMiddleware(app, tenant_of=lambda scope: scope["session"]["tenant"])

`tenant_of` is the application's own authentication; put this below it. The tenant's keys are awaited before the
application is called, so that nothing inside it waits for keyring or vault. Answers, as problems of RFC 9457:

    404  the keyring has no such tenant      410  the tenant was erased
    403  there is no tenant, and `required`  503  its keys cannot be had now; Retry-After says when to ask again

Whatever else is wrong with the tenant's keys (KeysRefused, KeyringTampered) is raised, as a fault of the server's.

404 and 410 tell tenants that exist from those that do not: a `tenant_of` that goes by the host's name alone, before
anybody is authenticated, tells it to anybody.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from math import ceil
from typing import Any

from steward.fieldcrypt.errors import FieldCryptError, KeysUnavailable, TenantErased, TenantUnknown
from steward.fieldcrypt.keyset import Keys
from steward.fieldcrypt.process import bound, installed

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
TenantOf = Callable[[Scope], "str | Awaitable[str | None] | None"]

#: WebSocket close codes (RFC 6455 and its registry): try again later, and a policy's refusal.
_TRY_AGAIN_LATER, _POLICY = 1013, 1008

_log = logging.getLogger("steward.fieldcrypt")


@dataclass(frozen=True, slots=True)
class Problem:
    """A refusal, as the client is told of it: nothing of the tenant, the keyring or the vault."""

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


class TenantMiddleware:
    """Binds `tenant_of(scope)` around *app* for HTTP requests and WebSockets; other scopes pass.

    *tenant_of* may be a coroutine function. Where it returns None the request passes with no tenant bound, and an
    encrypted field raises TenantNotBound; with *required* it is refused. *keys* are those installed, if not given.
    """

    def __init__(self, app: App, tenant_of: TenantOf, keys: Keys | None = None, *, required: bool = False) -> None:
        self._app, self._tenant_of, self._keys, self._required = app, tenant_of, keys, required

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        found = self._tenant_of(scope)
        tenant = found if found is None or isinstance(found, str) else await found
        if tenant is None:
            if self._required:
                await _refuse(scope, send, Problem(HTTPStatus.FORBIDDEN, "The request belongs to no tenant."))
            else:
                await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        # In this very coroutine: another one between server and application would be gone through at each of its turns.
        try:
            await (self._keys or installed()).ready(tenant)
            with bound(tenant):
                await self._app(scope, receive, answer.send)
        except (TenantUnknown, TenantErased, KeysUnavailable) as error:
            # Also from within: a tenant may be erased, or its keys reach their limit, in the middle of a request.
            if answer.begun:
                raise
            _log.warning("a request of tenant %r was refused: %s", tenant, error)
            await _refuse(scope, send, _problem(error))


class _Answer:
    """Whether the application has begun to answer: then nothing else can be said."""

    def __init__(self, send: Send) -> None:
        self.begun, self._send = False, send

    def send(self, message: MutableMapping[str, Any]) -> Awaitable[None]:
        self.begun = True
        return self._send(message)


def _problem(error: FieldCryptError) -> Problem:
    if isinstance(error, TenantUnknown):
        return Problem(HTTPStatus.NOT_FOUND, "There is no such tenant.")
    if isinstance(error, TenantErased):
        return Problem(HTTPStatus.GONE, "The tenant's data was erased.")
    after = max(1, ceil(getattr(error, "retry_after_seconds", 1)))
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "The tenant's data cannot be read or written now.", after)


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
