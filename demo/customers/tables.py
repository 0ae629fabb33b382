"""What is not encrypted, the same for both twins. Nothing of field encryption is imported here."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID, uuid4

from sqlalchemy import DateTime, Index, Numeric
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """All tables."""


class Member(Base):
    """Who may do what at a tenant's."""

    __tablename__ = "members"

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(primary_key=True)
    role: Mapped[str]


class Order(Base):
    """A customer's. No foreign key: the twins' customers are two tables."""

    __tablename__ = "orders"
    __table_args__ = (Index("ix_orders_customer", "customer_id", "placed_on"),)

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    customer_id: Mapped[UUID]
    placed_on: Mapped[date]
    status: Mapped[str]
    total: Mapped[Decimal] = mapped_column(Numeric(12, 2))


class AuditEntry(Base):
    """Who did what to which row, and when. No values: a trail is kept for longer than what it tells of."""

    __tablename__ = "audit_trail"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=lambda: datetime.now(UTC))
    tenant_id: Mapped[str]
    user_id: Mapped[str]
    action: Mapped[str]
    row_id: Mapped[UUID] = mapped_column(index=True)
