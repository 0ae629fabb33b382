"""The application's tables, and what its owner grants to whoever re-encrypts its fields: to read and write them, no more."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from psycopg import sql
from sqlalchemy import Connection, Engine, create_engine, make_url, text

from demo.customers.models import Customer
from demo.customers.tables import AuditEntry, Base, Member, Order
from demo.customers.users import ROTATOR, owner
from steward.clients.secrets import read_secret
from steward.settings import Settings

_TABLES = [Base.metadata.tables[model.__tablename__] for model in (Customer, Member, Order, AuditEntry)]
_ENCRYPTED = [Customer.__tablename__]
#: Two that lay tables at once take turns: what the second finds missing would be there when it makes it.
_TURN = 7_238_516_009


def lay_tables(settings: Settings) -> None:
    """Create what is missing and grant it. Harmless twice, and at the same time. Raises NoCustomers."""
    with opened(settings) as engine, engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:turn)"), {"turn": _TURN})
        Base.metadata.create_all(connection, tables=_TABLES)
        _grant(connection)


@contextmanager
def opened(settings: Settings) -> Generator[Engine]:
    """The database as its owner has it."""
    told = owner(settings)
    url = make_url(told.url).set(drivername="postgresql+psycopg", password=read_secret(told.password, settings.vault))
    engine = create_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def _grant(connection: Connection) -> None:
    for table in _ENCRYPTED:
        granted = sql.SQL("GRANT SELECT, INSERT, UPDATE ON {} TO {}")
        connection.exec_driver_sql(granted.format(sql.Identifier(table), sql.Identifier(ROTATOR)).as_string())
