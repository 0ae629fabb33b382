"""Customers, with three columns encrypted."""

from __future__ import annotations

from datetime import date
from uuid import UUID, uuid4

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from steward.fieldcrypt.sqlalchemy import encrypted, key_id_of
from tests.integration.fieldcrypt_application.tables import Base


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


Index("ix_customers_key_id", key_id_of(Customer.email))
