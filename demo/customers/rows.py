"""Rows that are there before anybody asks: members of tenants, and orders of customers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.dialects.postgresql import insert

from demo.customers.application import READER, WRITER
from demo.customers.tables import Base, Member, Order

#: Of every tenant; anybody else is a member of none.
USERS = {"ada": WRITER, "bob": READER}
ORDERS = 20
#: Who changes things in demos and benches.
WRITING_USER = "ada"
_FIRST = date(2015, 1, 1)
_STATUS = ("placed", "paid", "sent", "returned")


def add_members(engine: Engine, tenants: Iterable[str]) -> None:
    """A writer and a reader of each. Harmless twice."""
    members = [{"tenant_id": tenant, "user_id": user, "role": USERS[user]} for tenant in tenants for user in USERS]
    _insert(engine, Member, members)


def add_orders(engine: Engine, tenant: str, customers: Iterable[str]) -> None:
    """ORDERS of each customer, which come in turns: a customer's do not lie together. Harmless twice."""
    numbers, each = count(1), list(customers)
    orders = [_order(tenant, UUID(customer), next(numbers)) for _ in range(ORDERS) for customer in each]
    _insert(engine, Order, orders)


def _insert(engine: Engine, model: type[Base], rows: list[dict[str, Any]]) -> None:
    if rows:
        with engine.begin() as connection:
            connection.execute(insert(model).on_conflict_do_nothing(), rows)


def _order(tenant: str, customer: UUID, number: int) -> dict[str, Any]:
    return {
        "tenant_id": tenant,
        "number": number,
        "customer_id": customer,
        "placed_on": _FIRST + timedelta(days=number),
        "status": _STATUS[number % len(_STATUS)],
        "total": Decimal(number * 37 % 20_000) / 100,
    }
