"""A user without a browser: the statements that the application sends, by a driver and a cipher alone."""

from __future__ import annotations

from typing import Any, LiteralString, Self, cast
from uuid import UUID, uuid4

import psycopg

from demo.customers.traffic.asking import Failed, Refused
from demo.customers.values import Values
from steward.clients.postgres import Connection, Database, open_connection
from steward.errors import StewardError
from steward.fieldcrypt import FieldCipher
from steward.fieldcrypt.keyset import Keys

_FIELDS = ("email", "born", "notes")
_READ = "SELECT email, born, notes FROM customers WHERE tenant_id = %s AND id = %s"
_SEARCH = "SELECT id FROM customers WHERE tenant_id = %s AND email_index = ANY(%s)"
_UPDATE = "UPDATE customers SET email = %s, email_index = %s, born = %s, notes = %s WHERE tenant_id = %s AND id = %s"
_CREATE = "INSERT INTO customers (plan, email, email_index, born, notes, tenant_id, id) VALUES ('free', %s, %s, %s, %s, %s, %s)"


class DirectAsking:
    """A connection of its own to *target*, opened again where it breaks."""

    def __init__(self, target: Database, keys: Keys) -> None:
        self._target, self._keys = target, keys
        self._connection: Connection | None = None

    def read(self, tenant: str, row: UUID) -> Values:
        """By its id."""
        cipher = FieldCipher(tenant, self._keys)
        with _Failing(self):
            found = self._open().execute(_READ, (tenant, row)).fetchone()
            if found is None:
                raise Refused("there is no such row")
            opened = (cipher.decrypt("customers", name, row, at) for name, at in zip(_FIELDS, found, strict=True))
            return Values._make(cast("Any", opened))

    def search(self, tenant: str, email: str) -> set[UUID]:
        """By its blind index."""
        with _Failing(self):
            indexes = FieldCipher(tenant, self._keys).blind_indexes("customers", "email", email)
            return {found for (found,) in self._open().execute(_SEARCH, (tenant, indexes))}

    def update(self, tenant: str, row: UUID, values: Values) -> Values:
        """All of its fields."""
        with _Failing(self):
            if not self._write(_UPDATE, tenant, row, values):
                raise Refused("there is no such row")
        return values

    def create(self, tenant: str, values: Values) -> tuple[UUID, Values]:
        """Under an id of our own."""
        row = uuid4()
        with _Failing(self):
            self._write(_CREATE, tenant, row, values)
        return row, values

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _write(self, statement: LiteralString, tenant: str, row: UUID, values: Values) -> int:
        cipher = FieldCipher(tenant, self._keys)
        email, born, notes = (
            cipher.encrypt("customers", name, row, value) for name, value in zip(_FIELDS, values, strict=True)
        )
        index = cipher.blind_index("customers", "email", values.email)
        return self._open().execute(statement, (email, index, born, notes, tenant, row)).rowcount

    def _open(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = open_connection(self._target, autocommit=True, application_name="customers")
        return self._connection


class _Failing:
    """Whatever goes wrong in the block is a request that failed; a broken connection is let go."""

    def __init__(self, asking: DirectAsking) -> None:
        self._asking = asking

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> None:
        if isinstance(error, psycopg.OperationalError):
            self._asking.close()
        if isinstance(error, psycopg.Error | StewardError):
            raise Failed(type(error).__name__) from None
