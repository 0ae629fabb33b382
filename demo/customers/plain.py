"""The twin: the same columns, none encrypted. Nothing of field encryption is imported here."""

from __future__ import annotations

from datetime import date
from uuid import UUID, uuid4

from sqlalchemy import Date, Text
from sqlalchemy.orm import Mapped, mapped_column

from demo.customers.tables import Base


class PlainCustomer(Base):
    """The twin."""

    __tablename__ = "plain_customers"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    tenant_id: Mapped[str] = mapped_column(index=True)
    plan: Mapped[str] = mapped_column(default="free")
    email: Mapped[str] = mapped_column(Text, index=True)
    born: Mapped[date | None] = mapped_column(Date)
    notes: Mapped[str | None] = mapped_column(Text)
