"""What becomes of the requests in which users were exposed.

    app = OutcomeMiddleware(app, outcomes, user_of=lambda scope: scope["session"]["user"])

Put it below the application's own authentication, so that the request has its user. A request failed where it was answered
with 5xx, not at all, or by an exception; it took as long as the application took to hand over its answer's last byte.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from time import perf_counter
from typing import Any, Protocol

from steward.flags.application.exposures import Request, current_request
from steward.flags.application.outcomes import Outcomes

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_LAST_PIECES = {"http.response.body", "http.response.pathsend", "http.response.zerocopysend"}

_log = logging.getLogger("steward.flags")


class Observer(Protocol):
    """Whoever else wants to know of each request, such as `RequestMetrics`."""

    def request(self, scope: Scope, status: int, seconds: float) -> None:
        """It ended so; 0: it was given up before it was answered."""
        ...


class OutcomeMiddleware:
    """Notes for every user who was exposed during an HTTP request whether it failed and how long it took.

    Flags that the request evaluates without a targeting key are evaluated for *user_of* its scope. Neither that nor the
    *observer* can fail a request. Other scopes pass.
    """

    def __init__(
        self,
        app: App,
        outcomes: Outcomes,
        *,
        user_of: Callable[[Scope], str | None] = lambda _scope: None,
        observer: Observer | None = None,
    ) -> None:
        self._app, self._outcomes, self._user_of, self._observer = app, outcomes, user_of, observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(self._user(scope))
        answer = _Answer(send)
        token = current_request.set(request)
        began = perf_counter()
        try:
            await self._app(scope, receive, answer)
        except asyncio.CancelledError:
            # By the server, because the client left or the process ends: no fault of this release.
            answer.given_up = True
            raise
        except BaseException:
            answer.broken = True
            raise
        finally:
            current_request.reset(token)
            self._ended(scope, request, answer.final_status, perf_counter() - began)

    def _user(self, scope: Scope) -> str | None:
        try:
            return self._user_of(scope)
        except Exception as error:  # noqa: BLE001  as the class says
            self._broke(error)
            return None

    def _ended(self, scope: Scope, request: Request, status: int, seconds: float) -> None:
        try:
            if request.exposures and status:
                failed = status >= HTTPStatus.INTERNAL_SERVER_ERROR
                self._outcomes.ended(request.exposures, failed=failed, seconds=seconds)
            if self._observer is not None:
                self._observer.request(scope, status, seconds)
        except Exception as error:  # noqa: BLE001  as the class says
            self._broke(error)

    def _broke(self, error: Exception) -> None:
        self._outcomes.broke()
        _log.warning("what became of a request was not noted: %s", type(error).__name__)


class _Answer:
    """`send`, looked at."""

    __slots__ = ("_send", "_status", "_whole", "broken", "given_up")

    def __init__(self, send: Send) -> None:
        self._send, self._status, self._whole = send, 0, False
        self.broken = self.given_up = False

    async def __call__(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            self._status = message["status"]
        elif kind in _LAST_PIECES and not message.get("more_body"):
            self._whole = True
        try:
            await self._send(message)
        except OSError:
            # So a server tells that nobody listens any more.
            self.given_up = True
            raise

    @property
    def final_status(self) -> int:
        """0: given up. Half an answer is a failure, whatever its first line said."""
        if self.given_up:
            return 0
        if self.broken or not self._whole:
            return max(self._status, HTTPStatus.INTERNAL_SERVER_ERROR)
        return self._status
