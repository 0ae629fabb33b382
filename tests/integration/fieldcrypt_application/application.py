"""Create, read, change and find customers over HTTP, each tenant its own.

Nothing here knows of keys but the middleware: the twin with plain columns is this code with another model and without it.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from steward.fieldcrypt import install
from steward.fieldcrypt.asgi import Scope, TenantMiddleware
from steward.fieldcrypt.errors import CiphertextRefused
from steward.fieldcrypt.tenantkeys import TenantKeys

_log = logging.getLogger(__name__)


class Customers:
    """The endpoints."""

    def __init__(self, engine: AsyncEngine, model: Any, tokens: Mapping[str, str]) -> None:
        self._session = async_sessionmaker(engine, expire_on_commit=False)
        self._model = model
        self._tokens = tokens

    def tenant_of(self, scope: Scope) -> str | None:
        """By the request's bearer token: this application's authentication."""
        headers = dict(scope["headers"])
        return self._tokens.get(headers.get(b"authorization", b"").decode("latin-1").removeprefix("Bearer "))

    async def create(self, request: Request) -> JSONResponse:
        """POST /customers."""
        customer = self._model(tenant_id=self._tenant(request), **_given(await request.json()))
        async with self._session() as session, session.begin():
            session.add(customer)
        return JSONResponse(_shown(customer), status_code=201)

    async def read(self, request: Request) -> JSONResponse:
        """GET /customers/{id}."""
        async with self._session() as session:
            return JSONResponse(_shown(await self._one(session, request)))

    async def change(self, request: Request) -> JSONResponse:
        """PATCH /customers/{id}."""
        given = _given(await request.json())
        async with self._session() as session, session.begin():
            customer = await self._one(session, request)
            for name, value in given.items():
                setattr(customer, name, value)
        return JSONResponse(_shown(customer))

    async def find(self, request: Request) -> JSONResponse:
        """GET /customers, all or those of ?email=."""
        wanted = select(self._model).where(self._model.tenant_id == self._tenant(request))
        if "email" in request.query_params:
            wanted = wanted.where(self._model.email == request.query_params["email"])
        async with self._session() as session:
            return JSONResponse([_shown(customer) for customer in await session.scalars(wanted)])

    async def _one(self, session: AsyncSession, request: Request) -> Any:
        row_id, model = request.path_params["id"], self._model
        customer = await session.scalar(
            select(model).where(model.id == row_id, model.tenant_id == self._tenant(request))
        )
        if customer is None:
            raise HTTPException(404)
        return customer

    def _tenant(self, request: Request) -> str:
        tenant = self.tenant_of(request.scope)
        if tenant is None:
            raise HTTPException(403)
        return tenant

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/customers", self.create, methods=["POST"]),
            Route("/customers", self.find),
            Route("/customers/{id:uuid}", self.read),
            Route("/customers/{id:uuid}", self.change, methods=["PATCH"]),
        ]


def encrypted_application(engine: AsyncEngine, model: Any, tokens: Mapping[str, str], keys: TenantKeys) -> Starlette:
    """With encrypted columns, whose keys are *keys*."""
    customers = Customers(engine, model, tokens)
    return Starlette(
        routes=customers.routes(),
        middleware=[Middleware(TenantMiddleware, tenant_of=customers.tenant_of, required=True)],
        exception_handlers={CiphertextRefused: _unreadable},
        lifespan=lambda _: _with_keys(engine, keys),
    )


def plain_application(engine: AsyncEngine, model: Any, tokens: Mapping[str, str]) -> Starlette:
    """The twin."""
    return Starlette(routes=Customers(engine, model, tokens).routes())


def _with_keys(engine: AsyncEngine, keys: TenantKeys) -> AbstractAsyncContextManager[None]:
    @asynccontextmanager
    async def lasting() -> AsyncGenerator[None]:
        install(keys)
        yield
        await engine.dispose()
        keys.close()

    return lasting()


async def _unreadable(request: Request, error: Exception) -> JSONResponse:
    """The log has which field it is and what is wrong with it; the client is told neither."""
    _log.error("%s: %s %s", request.url.path, type(error).__name__, getattr(error, "__notes__", []))
    problem = {"type": "about:blank", "title": "Internal Server Error", "status": 500}
    return JSONResponse(problem, status_code=500, media_type="application/problem+json")


def _given(body: dict[str, Any]) -> dict[str, Any]:
    values = {name: body[name] for name in ("plan", "email", "notes") if name in body}
    if body.get("born"):
        values["born"] = date.fromisoformat(body["born"])
    return values


def _shown(customer: Any) -> dict[str, Any]:
    born = customer.born
    return {
        "id": str(customer.id),
        "plan": customer.plan,
        "email": customer.email,
        "born": born and born.isoformat(),
        "notes": customer.notes,
    }
