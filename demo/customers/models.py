"""Customers, with three columns encrypted."""

from __future__ import annotations

from datetime import date
from uuid import UUID, uuid4

from sqlalchemy.orm import Mapped, mapped_column

from demo.customers.tables import Base
from steward.fieldcrypt.sqlalchemy import encrypted


class Customer(Base):
    """A customer of a tenant's."""

    __tablename__ = "customers"
    __encrypted_for__ = "tenant_id"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    tenant_id: Mapped[str] = mapped_column(index=True)
    plan: Mapped[str] = mapped_column(default="free")
    email: Mapped[str] = encrypted(searchable=True)
    born: Mapped[date | None] = encrypted()
    notes: Mapped[str | None] = encrypted()
