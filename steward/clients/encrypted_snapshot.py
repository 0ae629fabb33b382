"""An application's rows at one moment of its database, however long they are looked at."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager

from psycopg import sql

from steward.clients.encrypted_sql import EncryptedRow, columns_of, qualified, relation_of, row_of
from steward.clients.postgres import Connection, Database, open_connection, worded
from steward.fieldcrypt.framing import RowId
from steward.keys.columns import EncryptedField, EncryptedTable

#: Rows that are fetched at a time.
_FETCHED = 2000


@contextmanager
def open_snapshot(database: Database) -> Generator[EncryptedSnapshot]:
    """The rows of *database* as they are now. It holds back the clean-up of dead rows for as long as it is open."""
    connection = open_connection(database, application_name="steward-key-proof")
    with connection, worded(database):
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
        # One processor of the database: a proof can wait, the application cannot.
        connection.execute("SET LOCAL max_parallel_workers_per_gather = 0")
        # Its moment is that of the first question.
        connection.execute("SELECT 1")
        yield EncryptedSnapshot(connection)


class EncryptedSnapshot:
    """What a proof asks (steward/keys/proof.py)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self, table: EncryptedTable, tenants: Sequence[str] | None = None) -> Iterator[EncryptedRow]:
        """Every row, or those of *tenants*."""
        query = sql.SQL("SELECT {} FROM {} t").format(columns_of(table), relation_of(table))
        if tenants is not None:
            query += sql.SQL(" WHERE {} = ANY(%s)").format(qualified(table.tenant))
        made = row_of(table)
        with self._connection.cursor("steward_rows", binary=True) as cursor:
            cursor.itersize = _FETCHED
            cursor.execute(query, None if tenants is None else [list(tenants)])
            yield from map(made, cursor)

    def having(self, table: EncryptedTable, field: EncryptedField, tenant: str, indexes: Sequence[bytes]) -> set[RowId]:
        """Row ids of the tenant's rows whose blind index is one of *indexes*: asked as an application asks."""
        query = self._found_by(table, field) + sql.SQL(" AND {} = %s").format(qualified(table.tenant))
        rows = self._connection.execute(query, [list(indexes), tenant], binary=True).fetchall()
        return {made.row_id for made in map(row_of(table), rows)}

    def scanned(
        self, table: EncryptedTable, field: EncryptedField, indexes: Sequence[bytes]
    ) -> dict[tuple[str, bytes], set[RowId]]:
        """Row ids by (tenant, blind index): every row is read, and no index of the database is used."""
        self._connection.execute("SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off")
        self._connection.execute("SET LOCAL enable_bitmapscan = off")
        rows = self._connection.execute(self._found_by(table, field), [list(indexes)], binary=True).fetchall()
        self._connection.execute("SET LOCAL enable_indexscan = on; SET LOCAL enable_bitmapscan = on")
        at, found = table.sealed_columns.index(str(field.index)), dict[tuple[str, bytes], set[RowId]]()
        for row in map(row_of(table), rows):
            found.setdefault((row.tenant, bytes(row.sealed[at] or b"")), set()).add(row.row_id)
        return found

    def _found_by(self, table: EncryptedTable, field: EncryptedField) -> sql.Composed:
        return sql.SQL("SELECT {} FROM {} t WHERE {} = ANY(%s)").format(
            columns_of(table), relation_of(table), qualified(str(field.index))
        )
