"""The shop: its paths, and the parts of a process opened and closed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from openfeature.client import OpenFeatureClient
from prometheus_client import CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request, cookie_parser
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from demo.shop import catalogue
from demo.shop.fates import errs, finds_nothing, waits_seconds
from demo.shop.pool import DatabaseAway, Pool
from demo.shop.releases import OFF, ON, SEARCH, Release
from steward.flags.application import (
    OutcomeCollector,
    OutcomeMiddleware,
    Outcomes,
    RequestMetrics,
    Writer,
    disconnect,
    is_ready,
)

#: What users come for, and what the shop counts beside errors and slowness.
PUT_BY = "put_by"
_LONGEST_USER = 100
_PATHS = ("/search", "/products", "/basket")


class SearchFailed(Exception):
    """As this release has it in store for this user."""


@dataclass(frozen=True)
class Shop:
    """One process: what it runs, and what it stands on."""

    name: str
    release: Release
    colour: str
    pool: Pool
    outcomes: Outcomes
    writer: Writer | None
    """None: nobody counts."""
    flags: OpenFeatureClient | None
    """None: everybody has the old search."""

    def application(self) -> Starlette:
        """ASGI 3."""
        registry = CollectorRegistry()
        metrics = RequestMetrics(registry, colour=self.colour, release=self.name, path_of=path_of)
        if self.writer is not None:
            registry.register(OutcomeCollector(self.outcomes, self.writer))
        routes = [
            Route("/search", self._search),
            Route("/products/{number:int}", self._product),
            Route("/basket", self._basket),
            Route("/basket/{number:int}", self._put_by, methods=["PUT"]),
            Route("/release", self._release),
            Route("/healthz", self._healthz),
            Route("/metrics", lambda _: Response(generate_latest(registry), media_type="text/plain; version=0.0.4")),
        ]
        counted = Middleware(OutcomeMiddleware, outcomes=self.outcomes, user_of=user_of, observer=metrics)
        handlers: dict[Any, Any] = {SearchFailed: self._search_failed, DatabaseAway: self._database_away}
        return Starlette(routes=routes, middleware=[counted], exception_handlers=handlers, lifespan=self._living)

    @asynccontextmanager
    async def _living(self, _app: Starlette) -> AsyncGenerator[None]:
        if self.writer is None:
            yield
        else:
            with self.writer:
                yield
        await self.pool.close()
        if self.flags is not None:
            disconnect(self.flags)

    async def _search(self, request: Request) -> Response:
        user, text = _user(request), request.query_params.get("q", "")[:100]
        search = self._variant(SEARCH)
        variant = request.state.variant = search if self.release.flag == SEARCH else self._variant(self.release.flag)
        dials = self.release.dials(variant)
        find = catalogue.search_by_words if search == ON else catalogue.search_by_letters
        await asyncio.sleep(waits_seconds(dials, user, self.release.seed))
        if errs(dials, user, self.release.seed):
            raise SearchFailed(user)
        found = [] if finds_nothing(dials, user, self.release.seed) else await find(self.pool, text)
        return JSONResponse(found, headers=self._headers(variant) | {"x-found": str(len(found))})

    def _variant(self, flag: str) -> str:
        """Of the request's user, whom the library knows."""
        if self.flags is None:
            return OFF
        return ON if self.flags.get_boolean_value(flag, default_value=False) else OFF

    async def _product(self, request: Request) -> Response:
        found = await catalogue.product(self.pool, request.path_params["number"])
        if found is None:
            raise HTTPException(404)
        return JSONResponse(found, headers=self._headers())

    async def _basket(self, request: Request) -> Response:
        return JSONResponse(await catalogue.basket(self.pool, _user(request)), headers=self._headers())

    async def _put_by(self, request: Request) -> Response:
        number = request.path_params["number"]
        # Asked for here as well: what is met counts for the flags of its request.
        variant = request.state.variant = self._variant(self.release.flag)
        if not await catalogue.put_by(self.pool, _user(request), number, quantity=1):
            raise HTTPException(404)
        self.outcomes.met(PUT_BY)
        return JSONResponse({"id": number, "quantity": 1}, headers=self._headers(variant))

    async def _release(self, _request: Request) -> Response:
        told = {"release": self.name, "colour": self.colour, "pid": os.getpid()}
        return JSONResponse(told, headers=self._headers())

    async def _healthz(self, _request: Request) -> Response:
        missing = await self._missing()
        return PlainTextResponse(f"{missing or 'ok'}\n", 503 if missing else 200, headers=self._headers())

    async def _missing(self) -> str:
        """What keeps it from serving, if anything does."""
        if not self.release.healthy:
            return "the release fails its health check"
        if self.flags is None or not is_ready(self.flags):
            return "no flags yet"
        try:
            rows = await self.pool.ask("SELECT 1 FROM products LIMIT 1")
        except DatabaseAway as away:
            return f"the database is away: {away}"
        return "" if rows else "there are no products"

    async def _search_failed(self, request: Request, _error: SearchFailed) -> Response:
        return JSONResponse({"error": "the search failed"}, 500, headers=self._headers(request.state.variant))

    async def _database_away(self, request: Request, _away: DatabaseAway) -> Response:
        variant = getattr(request.state, "variant", None)
        return JSONResponse({"error": "try again"}, 503, headers={"retry-after": "1", **self._headers(variant)})

    def _headers(self, variant: str | None = None) -> dict[str, str]:
        headers = {"x-release": self.name, "x-colour": self.colour}
        return headers | ({"x-variant": variant} if variant else {})


def path_of(scope: MutableMapping[str, Any]) -> str:
    """One of few."""
    path = str(scope["path"])
    return next((known for known in _PATHS if path == known or path.startswith(f"{known}/")), "other")


def user_of(scope: MutableMapping[str, Any]) -> str | None:
    """Who asks, as the shop's login would tell: the header that the load balancer goes by, too, else the cookie."""
    headers = Headers(scope=scope)
    return (headers.get("x-user-id") or cookie_parser(headers.get("cookie", "")).get("user_id", ""))[
        :_LONGEST_USER
    ] or None


def _user(request: Request) -> str:
    user = user_of(request.scope)
    if user is None:
        raise HTTPException(401)
    return user
