"""The gateway as an ASGI application: a worker's parts opened and closed, and its paths."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, NoReturn

import httpx
from opentelemetry import trace
from prometheus_client import generate_latest

from services.gateway import answers
from services.gateway.asked import MOST_BYTES, Asked, Endpoint, Request, read, too_large
from services.gateway.attempts import Attempts
from services.gateway.callers import Callers
from services.gateway.credentials import Credentials
from services.gateway.errors import Fault, stopped, unavailable
from services.gateway.exchange import Exchange, Whole
from services.gateway.health import HealthBoard
from services.gateway.inbound import demand_room
from services.gateway.metrics import Metrics
from services.gateway.models import models_body
from services.gateway.stops import Stops
from steward.ai.attempts import new_id
from steward.ai.catalog import Catalog, load_catalog
from steward.ai.retries import RetryBudget
from steward.clients.attempts import AttemptLedger
from steward.clients.ratelimit import async_limiter_over
from steward.clients.redis import asked as redis_user
from steward.clients.redis import open_async_redis
from steward.errors import BadInput, StewardError
from steward.ratelimit import AsyncLimiter
from steward.settings import Settings
from steward.stopping import stop

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

#: A provider may think for long before its first token; nobody waits for ever.
TIMEOUT = httpx.Timeout(120.0, connect=5.0, write=30.0, pool=5.0)
#: Callers that leave: their stream is read on for so long, since its last event tells what it cost.
DRAIN_SECONDS = 30.0
#: How often the file of callers is looked at.
_CALLERS_SECONDS = 2.0

_log = logging.getLogger(__name__)
_tracer = trace.get_tracer("steward.gateway")


class Gateway:
    """One worker."""

    def __init__(self, settings: Settings, name: str, *, workers: int = 1) -> None:
        if settings.gateway is None:
            raise BadInput(
                "the settings tell of no gateway", hint="add [gateway] to the settings file; docs/gateway.md"
            )
        self._settings, self._name, self._workers = settings, name, workers
        self._catalog: Catalog = load_catalog(settings.gateway.catalog)
        self._callers = Callers(Path(settings.gateway.callers))
        self._metrics = Metrics()
        self._opened = AsyncExitStack()
        self._limiter: AsyncLimiter | None = None
        self._stops = Stops(settings, self._metrics)
        self._exchange: Exchange | None = None
        self._draining: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Everything it stands on; raises what keeps one of them away."""
        opened = self._opened
        credentials = Credentials(self._settings, self._catalog.accounts)
        # Before it has read any key: whoever revokes one then waits for this worker to tell of another.
        ledger = await opened.enter_async_context(
            AttemptLedger(self._settings, self._name, credentials=lambda: credentials.versions)
        )
        await opened.enter_async_context(credentials)
        await opened.enter_async_context(self._stops)
        redis = await opened.enter_async_context(open_async_redis(self._settings, "gateway", timeout_seconds=1.0))
        routes = [route.name for alias in self._catalog.alias for route in alias.route]
        health = await opened.enter_async_context(HealthBoard(redis, routes, self._metrics))
        limits = httpx.Limits(max_connections=2000, max_keepalive_connections=500, keepalive_expiry=30.0)
        transport = await opened.enter_async_context(httpx.AsyncHTTPTransport(limits=limits, trust_env=False))
        limiter = async_limiter_over(redis, redis_user(self._settings, "gateway"))
        attempts = Attempts(
            self._settings,
            ledger=ledger,
            limiter=limiter,
            credentials=credentials,
            transport=transport,
            timeout=TIMEOUT,
            metrics=self._metrics,
        )
        opened.push_async_callback(attempts.all_ended)
        opened.push_async_callback(self._drained)
        watching = asyncio.create_task(self._watch_callers(), name="callers")
        opened.push_async_callback(stop, watching)
        budget = RetryBudget(share=1 / self._workers)
        self._limiter = limiter
        self._exchange = Exchange(self._settings, self._catalog, attempts, health, budget, stops=self._stops)

    async def close(self) -> None:
        """What is under way has ended; everything is in the ledger."""
        self._exchange = None
        await self._opened.aclose()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.open()
        except StewardError as error:
            await self._opened.aclose()
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        # What was imported and opened lives as long as the worker: no collection needs to look at it during a request.
        gc.collect()
        gc.freeze()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if method == "GET" and path in {"/healthz", "/metrics"}:
            body = b"ok\n" if path == "/healthz" else generate_latest(self._metrics.registry)
            await _say(send, 200, body, [(b"content-type", b"text/plain; charset=utf-8")])
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        speaks = "anthropic" if path == Endpoint.MESSAGES or "anthropic-version" in headers else "openai"
        began, told = time.monotonic(), {"alias": "-", "outcome": "refused"}
        self._metrics.begun()
        try:
            if method == "GET" and (path == "/v1/models" or path.startswith("/v1/models/")):
                self._callers.find(headers)
                body = models_body(self._catalog, speaks, path.removeprefix("/v1/models").lstrip("/"))
                await _say(send, 200, body, [(b"content-type", b"application/json")])
                told["outcome"] = "answered"
            elif method == "POST" and path in set(Endpoint):
                await self._generate(Endpoint(path), headers, receive, send, told)
            else:
                _no_such_path()
        except Fault as fault:
            told["outcome"] = fault.kind
            await _say(send, fault.status, answers.fault_body(speaks, fault), answers.fault_headers(fault))
        except asyncio.CancelledError:
            # Only by a worker that leaves, when the time of what is under way is over.
            told["outcome"] = "cut_off"
            if not told.get("begun"):
                fault = unavailable("this worker is leaving")
                await _say(send, fault.status, answers.fault_body(speaks, fault), answers.fault_headers(fault))
        except Exception as error:  # noqa: BLE001  a fault of ours is told in the shape of the API, too
            told["outcome"] = "broken"
            _log_where(error)
            if not told.get("begun"):
                fault = Fault(500, "upstream", "the gateway failed")
                await _say(send, fault.status, answers.fault_body(speaks, fault), answers.fault_headers(fault))
        finally:
            self._metrics.answered(speaks, told["alias"], told["outcome"], time.monotonic() - began)

    async def _generate(
        self, endpoint: Endpoint, headers: dict[str, str], receive: Receive, send: Send, told: dict[str, str]
    ) -> None:
        if self._exchange is None or self._limiter is None:
            raise unavailable("this worker is leaving")
        caller = self._callers.find(headers)
        asked = read(endpoint, await _body(receive, headers), headers)
        if self._catalog.routes(asked.alias):
            told["alias"] = asked.alias
        if self._stops.has_tenant(caller.tenant):
            raise stopped("this tenant")
        await demand_room(self._limiter, caller)
        request = Request(new_id(), caller, asked)
        with _tracer.start_as_current_span("generate", attributes=_described(asked)) as span:
            answer = await self._exchange.answer(request)
            told["begun"] = "yes"
            identity = [(b"x-request-id", str(request.id).encode())]
            if isinstance(answer, Whole):
                kind = [(b"content-type", b"application/json"), *identity]
                await _say(send, answer.status, answer.body, kind)
                told["outcome"] = "answered" if answer.status < HTTPStatus.BAD_REQUEST else "invalid"
            else:
                told["outcome"] = await self._pass_on(answer, receive, send, identity)
            span.set_attribute("outcome", told["outcome"])

    async def _pass_on(
        self, stream: AsyncGenerator[bytes], receive: Receive, send: Send, headers: list[tuple[bytes, bytes]]
    ) -> str:
        """A stream, until it ends or the caller leaves; then it is read to its end all the same, for what it cost."""
        start = {"type": "http.response.start", "status": 200, "headers": [answers.EVENT_STREAM, *headers]}
        leaving = asyncio.create_task(_left(receive))
        try:
            await send(start)
            async for piece in stream:
                if leaving.done():
                    self._drain(stream)
                    return "left"
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except (OSError, asyncio.CancelledError):
            self._drain(stream)
            raise
        finally:
            leaving.cancel()
        return "answered"

    def _drain(self, stream: AsyncGenerator[bytes]) -> None:
        task = asyncio.create_task(_read_on(stream))
        self._draining.add(task)
        task.add_done_callback(self._draining.discard)

    async def _drained(self) -> None:
        while self._draining:
            await asyncio.wait(self._draining)

    async def _watch_callers(self) -> None:
        while True:
            await asyncio.sleep(_CALLERS_SECONDS)
            try:
                self._callers.read()
            except StewardError as error:
                _log.warning("callers are those that were known before: %s", error.message)


def _log_where(error: Exception) -> None:
    """Its kind and its place: its words may quote what a caller sent."""
    frames = traceback.extract_tb(error.__traceback__)
    _log.error("%s at %s:%s", type(error).__name__, frames[-1].filename, frames[-1].lineno)


def _no_such_path() -> NoReturn:
    raise Fault(404, "missing", "the gateway has no such path")


def _described(asked: Asked) -> dict[str, str | bool | int]:
    """Of a span: never a content."""
    return {
        "api": asked.endpoint.speaks,
        "endpoint": str(asked.endpoint),
        "stream": asked.is_stream,
        "bytes": asked.bytes,
    }


async def _body(receive: Receive, headers: dict[str, str]) -> bytes:
    if int(headers.get("content-length") or 0) > MOST_BYTES:
        raise too_large()
    parts, size = list[bytes](), 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Fault(400, "invalid", "the request ended before its body did")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MOST_BYTES:
            raise too_large()
        if not message.get("more_body"):
            return b"".join(parts)


async def _say(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _read_on(stream: AsyncGenerator[bytes]) -> None:
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                async for _ in stream:
                    pass
    finally:
        await stream.aclose()
