"""Encrypted attributes of classes that SQLAlchemy maps.

    class Customer(Base):
        __tablename__ = "customers"
        __encrypted_for__ = "tenant_id"  # may be absent: rows of another tenant than the bound one are refused
        id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
        tenant_id: Mapped[str]
        email: Mapped[str | None] = encrypted(searchable=True)
        notes: Mapped[str | None] = encrypted()

    with bound("acme"):
        session.add(Customer(tenant_id="acme", email="ada@example.net"))
        session.scalars(select(Customer).where(Customer.email == "ada@example.net"))

An attribute is assigned and read as any other. It is encrypted at the flush, for its row's primary key, which the
application has to make; decrypted each time it is read; and written by nothing that bypasses the mapper's events.
docs/fieldcrypt-applications.md says more.
"""

from steward.fieldcrypt.sqlalchemy.columns import BlindIndex, Encrypted, encrypted
from steward.fieldcrypt.sqlalchemy.core import render_item, sealed
from steward.fieldcrypt.sqlalchemy.errors import (
    MappingRefused,
    OtherTenant,
    PendingNotPickled,
    RowIdChanged,
    RowIdUnknown,
    SearchRefused,
    WriteRefused,
)
from steward.fieldcrypt.sqlalchemy.events import listen
from steward.fieldcrypt.sqlalchemy.keyids import key_id_of

listen()

__all__ = [
    "BlindIndex",
    "Encrypted",
    "MappingRefused",
    "OtherTenant",
    "PendingNotPickled",
    "RowIdChanged",
    "RowIdUnknown",
    "SearchRefused",
    "WriteRefused",
    "encrypted",
    "key_id_of",
    "render_item",
    "sealed",
]
