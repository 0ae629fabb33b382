"""`POST /webhooks/SOURCE`: looked at in one order, from what costs least to what costs most, stored, and only then answered."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from services.problems import Refused, by_starlette, problem
from services.webhooks.metrics import Metrics
from services.webhooks.requests import demand_json, demand_short_headers, read_body
from services.webhooks.secrets import Secrets
from steward.clients.webhook_keeping import Inbox
from steward.errors import StewardError
from steward.settings import GitHubSource, Settings, SignedSource, Webhooks
from steward.stopping import stop
from steward.webhooks import github, signed
from steward.webhooks.delivery import Delivery
from steward.webhooks.errors import DeliveryRefused, Forged, TooLarge, UnknownSource
from steward.webhooks.freshness import demand_fresh
from steward.webhooks.reading import PLAIN
from steward.webhooks.signatures import demand_github_signature, demand_signed_signature

Types = Callable[[str], Collection[str]]
"""The types of a signed source that rules name."""

#: Within it a database that was restarted is back, as a rule.
_RETRY_AFTER = {"Retry-After": "5"}

_HANDLERS: dict[Any, Any] = {HTTPException: by_starlette}

_log = logging.getLogger(__name__)


class Receiver:
    """One process's. What it answered 202 or 200 is in the inbox."""

    def __init__(self, settings: Settings, webhooks: Webhooks, types: Types) -> None:
        self._settings, self._webhooks, self._types = settings, webhooks, types
        self._secrets = Secrets(webhooks, settings.vault)
        self._metrics = Metrics()
        self._inbox = Inbox(settings)
        self._parts: list[asyncio.Task[None]] = []

    def application(self) -> Starlette:
        """Of one event loop."""
        routes = [
            Route("/webhooks/{source}", self.receive, methods=["POST"]),
            Route("/healthz", self.health),
            Route("/metrics", self.metrics),
        ]
        return Starlette(routes=routes, exception_handlers=_HANDLERS, lifespan=self._live)

    @asynccontextmanager
    async def _live(self, _: Starlette) -> AsyncGenerator[None]:
        fresh = asyncio.create_task(self._secrets.keep_fresh(), name="the secrets' reading")
        async with self._inbox as inbox:
            self._parts = [fresh, *inbox.parts]
            yield
        await stop(fresh)

    async def receive(self, request: Request) -> Response:
        """202 for a delivery that is new, 200 for one that repeats another; a problem otherwise, and a line in the log."""
        began, source = time.perf_counter(), request.path_params["source"]
        label = source if source in self._webhooks.sources else "-"
        try:
            outcome, answer = await self._taken(request, source)
        except (DeliveryRefused, Refused, StewardError, psycopg.Error) as error:
            outcome, answer = type(error).__name__, _problem_of(error)
            _tell_refusal(request, label, answer.status_code, error)
        self._metrics.answered(label, outcome, time.perf_counter() - began)
        return answer

    async def health(self, _: Request) -> Response:
        """Well once every secret was read: a database that is away is said, and is not this process's illness.

        Never again once a part has ended by itself: whoever watches it starts another.
        """
        unread, ended = self._secrets.unread(), [part.get_name() for part in self._parts if part.done()]
        lines = [
            f"secrets: {'not read yet: ' + ', '.join(unread) if unread else 'read'}",
            f"database: {self._inbox.away or 'answers'}",
            *(f"{name} has ended" for name in ended),
        ]
        return PlainTextResponse("\n".join(lines) + "\n", 503 if unread or ended else 200)

    async def metrics(self, _: Request) -> Response:
        """For Prometheus."""
        self._metrics.database_up.set(int(self._inbox.away is None))
        self._metrics.unread_sources.set(len(self._secrets.unread()))
        return Response(generate_latest(self._metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def _taken(self, request: Request, name: str) -> tuple[str, Response]:
        source = self._webhooks.sources.get(name)
        if source is None:
            # Which ones there are is nobody's business who has no secret.
            raise UnknownSource("there is no such source", hint="see the address that the sender was given")
        demand_short_headers(request)
        demand_json(request.headers)
        body = await read_body(request, self._webhooks.most_bytes)
        headers = {each.lower(): value for each, value in request.headers.items()}
        delivery = self._genuine(name, source, headers, body)
        kept = await self._inbox.keep(delivery)
        state = "received" if kept.is_new else "repeated"
        return state, JSONResponse({"delivery": kept.id, "state": state}, 202 if kept.is_new else 200)

    def _genuine(
        self, name: str, source: GitHubSource | SignedSource, headers: dict[str, str], body: bytes
    ) -> Delivery:
        """What was sent, once it is known who by. Raises DeliveryRefused, and Refused 503 where that cannot be known yet."""
        now = datetime.now(UTC)
        try:
            if source.kind == "github":
                demand_github_signature(self._secrets.of(name), headers, body)
            else:
                demand_signed_signature(self._secrets.of(name), headers, body, now=now)
        except Forged:
            if self._secrets.is_complete(name):
                raise
            raise Refused(503, "not every secret of this source could be read yet", headers=_RETRY_AFTER) from None
        if source.kind == "github":
            delivery = github.read(name, headers, body, now=now)
        else:
            delivery = signed.read(name, headers, body)
        demand_fresh(delivery, window_hours=source.window_hours, now=now)
        if source.kind == "signed":
            signed.demand_rule(delivery, self._types(name))
        return delivery


def _problem_of(error: Exception) -> JSONResponse:
    """What is not the request's own fault is 503: its sender tries again, and loses nothing."""
    if isinstance(error, Refused):
        return problem(error.status, error.detail, hint=error.hint, headers=error.headers)
    if isinstance(error, DeliveryRefused):
        # The rest of a body that is too large is not read.
        headers = {"Connection": "close"} if isinstance(error, TooLarge) else {}
        return problem(error.status, error.message, hint=error.hint, headers=headers)
    # Of our database a stranger is told nothing.
    return problem(
        503, "it could not be stored", hint="send it again, under the same id: it is taken once", headers=_RETRY_AFTER
    )


def _tell_refusal(request: Request, source: str, status: int, error: Exception) -> None:
    headers = request.headers
    event = headers.get("x-github-event", "-")
    identity = headers.get("x-github-delivery") or headers.get("webhook-id") or "-"
    level = logging.ERROR if status >= 500 else logging.WARNING  # noqa: PLR2004
    reason = getattr(error, "message", None) or getattr(error, "detail", None) or type(error).__name__
    _log.log(
        level,
        "refused source=%s event=%s delivery=%s remote=%s status=%d: %s",
        source,
        _plain(event),
        _plain(identity),
        request.client.host if request.client else "-",
        status,
        reason,
    )


def _plain(told: str) -> str:
    """What a stranger calls itself, unless it would be more than a word of a line."""
    return told if PLAIN.fullmatch(told) else "-"
