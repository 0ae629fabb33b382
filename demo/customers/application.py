"""Create, read, change and find customers over HTTP, each tenant its own.

Nothing here knows of keys but the middleware: the twin with plain columns is this code with another model and without it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from demo.customers.authentication import Caller, SessionTokens
from demo.customers.bodies import (
    CustomerChange,
    NewCustomer,
    Search,
    given,
    shown,
    shown_order,
)
from demo.customers.problems import HANDLERS, unauthenticated
from demo.customers.tables import AuditEntry, Member, Order
from steward.fieldcrypt import install
from steward.fieldcrypt.asgi import TenantMiddleware
from steward.fieldcrypt.tenantkeys import TenantKeys

READER, WRITER = "reader", "writer"
_LATEST = 10


class Customers:
    """The endpoints."""

    def __init__(self, engine: AsyncEngine, model: Any) -> None:
        self._session = async_sessionmaker(engine, expire_on_commit=False)
        self._model = model

    async def create(self, request: Request) -> JSONResponse:
        """POST /customers."""
        new = await given(NewCustomer, request)
        async with self._transaction(request, WRITER) as session:
            customer = self._model(id=uuid4(), tenant_id=request.user.tenant, **new.model_dump())
            session.add_all([customer, _audited(request.user, "create", customer.id)])
        return JSONResponse(shown(customer), status_code=201)

    async def read(self, request: Request) -> JSONResponse:
        """GET /customers/{id}: the customer's page."""
        async with self._transaction(request, READER, WRITER) as session:
            customer = await self._one(session, request)
            orders = await session.scalars(_latest_orders(request.user, customer.id))
            return JSONResponse({**shown(customer), "orders": [shown_order(order) for order in orders]})

    async def change(self, request: Request) -> JSONResponse:
        """PATCH /customers/{id}."""
        change = await given(CustomerChange, request)
        async with self._transaction(request, WRITER) as session:
            customer = await self._one(session, request)
            for name, value in change.model_dump(exclude_unset=True).items():
                setattr(customer, name, value)
            session.add(_audited(request.user, "change", customer.id))
        return JSONResponse(shown(customer))

    async def list(self, request: Request) -> JSONResponse:
        """GET /customers."""
        async with self._transaction(request, READER, WRITER) as session:
            return JSONResponse([shown(customer) for customer in await session.scalars(self._of(request.user))])

    async def search(self, request: Request) -> JSONResponse:
        """POST /customers/search. In the body: what stands in a URL stands in access logs, here and at every proxy."""
        wanted = await given(Search, request)
        async with self._transaction(request, READER, WRITER) as session:
            found = await session.scalars(self._of(request.user).where(self._model.email == wanted.email))
            return JSONResponse([shown(customer) for customer in found])

    @asynccontextmanager
    async def _transaction(self, request: Request, *roles: str) -> AsyncGenerator[AsyncSession]:
        """One for the permission and for what it permits. Raises HTTPException 403."""
        caller: Caller = request.user
        async with self._session() as session, session.begin():
            role = await session.scalar(
                select(Member.role).where(Member.tenant_id == caller.tenant, Member.user_id == caller.user)
            )
            if role not in roles:
                raise HTTPException(403)
            yield session

    def _of(self, caller: Caller) -> Select[Any]:
        return select(self._model).where(self._model.tenant_id == caller.tenant)

    async def _one(self, session: AsyncSession, request: Request) -> Any:
        customer = await session.scalar(self._of(request.user).where(self._model.id == request.path_params["id"]))
        if customer is None:
            raise HTTPException(404)
        return customer

    def routes(self) -> Sequence[Route]:
        """All of them."""
        return [
            Route("/customers", self.create, methods=["POST"]),
            Route("/customers", self.list),
            Route("/customers/search", self.search, methods=["POST"]),
            Route("/customers/{id:uuid}", self.read),
            Route("/customers/{id:uuid}", self.change, methods=["PATCH"]),
        ]


def application(engine: AsyncEngine, model: Any, session_key: str, keys: TenantKeys | None) -> Starlette:
    """With encrypted columns, whose keys are *keys*; the twin without."""
    middleware = [Middleware(AuthenticationMiddleware, backend=SessionTokens(session_key), on_error=unauthenticated)]
    if keys is not None:
        # Below it: the tenant is the one that the session is for.
        middleware.append(Middleware(TenantMiddleware, tenant_of=lambda scope: scope["user"].tenant, required=True))
    return Starlette(
        routes=Customers(engine, model).routes(),
        middleware=middleware,
        exception_handlers=HANDLERS,
        lifespan=lambda _: lasting(engine, keys),
    )


def lasting(engine: AsyncEngine, keys: TenantKeys | None) -> AbstractAsyncContextManager[None]:
    """From the process's start to its end."""

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        if keys is not None:
            install(keys)
        yield
        await engine.dispose()
        if keys is not None:
            keys.close()

    return lifespan()


def _latest_orders(caller: Caller, customer_id: UUID) -> Select[Order]:
    theirs = select(Order).where(Order.tenant_id == caller.tenant, Order.customer_id == customer_id)
    return theirs.order_by(Order.placed_on.desc(), Order.number.desc()).limit(_LATEST)


def _audited(caller: Caller, action: str, row_id: UUID) -> AuditEntry:
    return AuditEntry(tenant_id=caller.tenant, user_id=caller.user, action=action, row_id=row_id)
