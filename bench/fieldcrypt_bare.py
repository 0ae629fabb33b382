"""The least request that an application with encrypted columns could answer, and its plain twin: a bench's worst case.

    python -m bench.fieldcrypt_bare FD

One statement (and a commit where it writes) between the request and its answer. No session, no permission, no orders, no
audit trail, no check of what comes in, no access log; the tenant is what a header says. On the models and the database of
the sample application, which is what to copy: this is not.
"""

from __future__ import annotations

import sys
from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from demo.customers.__main__ import keys_of, model_of, serve
from demo.customers.application import lasting
from demo.customers.bodies import shown
from demo.customers.deployment import given
from steward.fieldcrypt.asgi import App, Receive, Scope, Send, TenantMiddleware
from steward.fieldcrypt.tenantkeys import TenantKeys

HEADER = "x-tenant"


class Tenant:
    """Puts the tenant into the scope: for both twins alike, and once."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        if scope["type"] == "http":
            scope["tenant"] = dict(scope["headers"])[HEADER.encode()].decode()
        await self._app(scope, receive, send)


class BareCustomers:
    """The endpoints."""

    def __init__(self, engine: AsyncEngine, model: Any) -> None:
        self._session = async_sessionmaker(engine, expire_on_commit=False)
        self._model = model

    async def create(self, request: Request) -> JSONResponse:
        """POST /customers."""
        body = await request.json()
        born = date.fromisoformat(body["born"])
        customer = self._model(tenant_id=request.scope["tenant"], email=body["email"], born=born, notes=body["notes"])
        async with self._session() as session, session.begin():
            session.add(customer)
        return JSONResponse(shown(customer), status_code=201)

    async def read(self, request: Request) -> JSONResponse:
        """GET /customers/{id}."""
        row_id, tenant, model = request.path_params["id"], request.scope["tenant"], self._model
        async with self._session() as session:
            one = await session.scalars(select(model).where(model.id == row_id, model.tenant_id == tenant))
            return JSONResponse(shown(one.one()))

    async def search(self, request: Request) -> JSONResponse:
        """GET /customers?email=, which is faster to parse than a body."""
        wanted = select(self._model).where(
            self._model.tenant_id == request.scope["tenant"], self._model.email == request.query_params["email"]
        )
        async with self._session() as session:
            return JSONResponse([shown(customer) for customer in await session.scalars(wanted)])

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/customers", self.create, methods=["POST"]),
            Route("/customers", self.search),
            Route("/customers/{id:uuid}", self.read),
        ]


def bare(engine: AsyncEngine, model: Any, keys: TenantKeys | None) -> Starlette:
    """With encrypted columns, whose keys are *keys*; the twin without."""
    middleware = [Middleware(Tenant)]
    if keys is not None:
        middleware.append(Middleware(TenantMiddleware, tenant_of=lambda scope: scope["tenant"], required=True))
    routes = BareCustomers(engine, model).routes()
    return Starlette(routes=routes, middleware=middleware, lifespan=lambda _: lasting(engine, keys))


def main(number: str) -> None:
    """Until SIGTERM."""
    told = given()
    engine = create_async_engine(told.url(), pool_size=8)
    serve(bare(engine, model_of(told), keys_of(told)), number, log_level="warning", access_log=False)


if __name__ == "__main__":
    main(sys.argv[1])
