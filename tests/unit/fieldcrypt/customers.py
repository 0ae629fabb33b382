"""Mapped classes with encrypted attributes, one for each way of declaring them, on SQLite in memory."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine, ForeignKey, LargeBinary, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, validates

from steward.fieldcrypt import bound, install
from steward.fieldcrypt.sqlalchemy import encrypted

PLAIN = "ada@example.net"


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"
    __encrypted_for__ = "tenant_id"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    tenant_id: Mapped[str] = mapped_column(default="acme")
    plan: Mapped[str | None]
    email: Mapped[str | None] = encrypted(searchable=True)
    notes: Mapped[str | None] = encrypted()
    balance: Mapped[Decimal | None] = encrypted(searchable=True)
    born: Mapped[date | None] = encrypted()
    profile: Mapped[dict[str, Any] | None] = encrypted(deferred=True)


class Account(Base):
    """What the application knows by numbers of its own, and validates."""

    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    iban: Mapped[str] = encrypted("iban_sealed", searchable=True)
    currency: Mapped[str | None] = encrypted(default="EUR")

    @validates("iban")
    def _without_spaces(self, _: str, iban: str) -> str:
        return iban.replace(" ", "")


class Note:
    """A mixin."""

    text: Mapped[str | None] = encrypted(searchable=True)


class Visit(Note, Base):
    """A composite key, and a column that comes from a mixin."""

    __tablename__ = "visits"
    customer: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)


class Letter(Note, Base):
    """The same mixin: another table, and therefore other ciphertexts."""

    __tablename__ = "letters"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    kind: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "letter"}  # noqa: RUF012


class Registered(Letter):
    """The same table."""

    receipt: Mapped[str | None] = encrypted()
    __mapper_args__ = {"polymorphic_identity": "registered"}  # noqa: RUF012


class Parcel(Letter):
    """A table of its own beside that of its parent."""

    __tablename__ = "parcels"
    id: Mapped[UUID] = mapped_column(ForeignKey("letters.id"), primary_key=True)
    content: Mapped[str | None] = encrypted(searchable=True)
    __mapper_args__ = {"polymorphic_identity": "parcel"}  # noqa: RUF012


class Plain(Base):
    """Nothing is encrypted here."""

    __tablename__ = "plain"
    id: Mapped[int] = mapped_column(primary_key=True)
    raw: Mapped[bytes | None] = mapped_column(LargeBinary)


@contextmanager
def database(keys) -> Generator[Engine]:
    """All tables in a fresh database; *keys* are installed."""
    install(keys)
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    try:
        yield engine
    finally:
        engine.dispose()


def stored(session: Session, customer: Customer, column: str) -> Any:
    """What the row holds, as the database has it."""
    table = Customer.__table__
    raw = select(table.c[column].cast(LargeBinary)).where(table.c.id == customer.id)
    return session.connection().execute(raw).scalar_one()


def added(session: Session, **values: Any) -> Customer:
    """A customer of acme's, flushed."""
    customer = Customer(**values)
    with bound("acme"):
        session.add(customer)
        session.flush()
    return customer
