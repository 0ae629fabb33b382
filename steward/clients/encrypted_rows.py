"""Rows with encrypted columns in an application's database: read in the order in which they lie, and replaced.

A table is gone through by ranges of its pages (TID range scans), so no index is needed and none is in the way: the
order is the disk's, parts of it can be done side by side, and what is done is a number of pages. Rows that move
meanwhile are found by the next pass; that none is left is said by one statement, that is of one moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from psycopg import errors as pg
from psycopg import sql

from steward.clients.encrypted_sql import (
    EncryptedRow,
    any_between,
    columns_of,
    key_id_of,
    named,
    parts_of,
    qualified,
    relation_of,
    replacing,
    row_of,
    sealed_of,
)
from steward.clients.postgres import Connection, Database, open_connection, worded
from steward.fieldcrypt.framing import RowId
from steward.keys.columns import EncryptedTable

#: Far below PostgreSQL's deadlock_timeout of 1 s: where a row is held, this side gives way and the application goes on.
LOCK_TIMEOUT_MILLISECONDS = 50
#: One batch of a sweep; a whole table is counted or read without a limit.
BATCH_TIMEOUT_SECONDS = 60
Replacement = tuple[EncryptedRow, tuple[bytes | None, ...]]


@contextmanager
def open_rows(database: Database) -> Generator[EncryptedRows]:
    """Rows of *database* on a connection of its own; not for several threads at once."""
    connection = open_connection(
        database,
        autocommit=True,
        statement_timeout_seconds=BATCH_TIMEOUT_SECONDS,
        application_name="steward-key-rotation",
    )
    with connection, worded(database):
        # A lost commit brings an old ciphertext back, which the count at the end sees: nobody waits for the disk here.
        connection.execute("SET synchronous_commit = off")
        connection.execute(sql.SQL("SET lock_timeout = {}").format(LOCK_TIMEOUT_MILLISECONDS))
        # Rows are addressed by their place. Whatever else a planner may think of reads the table once a batch.
        connection.execute("SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off")
        # One processor of the database: a count can wait, the application cannot.
        connection.execute("SET max_parallel_workers_per_gather = 0")
        yield EncryptedRows(connection)


class EncryptedRows:
    """The statements. psycopg's errors come through `worded`, as everywhere."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def leaves(self, table: EncryptedTable) -> list[str]:
        """The relations that hold the table's rows: itself, or its partitions, as SQL names them."""
        rows = self._connection.execute(
            "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind = 'r' AND (c.oid = %(table)s::regclass "
            "OR c.oid IN (SELECT relid FROM pg_partition_tree(%(table)s::regclass) WHERE isleaf)) ORDER BY c.oid",
            {"table": relation_of(table).as_string()},
        ).fetchall()
        return [name for (name,) in rows]

    def pages(self, leaf: str) -> int:
        """How many pages of 8 KiB the relation has now."""
        return self._value("SELECT (pg_relation_size(%s::regclass) / current_setting('block_size')::int)::bigint", leaf)

    def batch(self, table: EncryptedTable, leaf: str, pages: range, ids: tuple[bytes, bytes]) -> list[EncryptedRow]:
        """Rows on *pages* that have anything under a key id from *ids*, the lowest and the highest (as ciphertexts have them)."""
        query = sql.SQL(
            "SELECT {columns} FROM {leaf} t WHERE t.ctid >= %(first)s::tid AND t.ctid < %(beyond)s::tid AND ({under})"
        ).format(columns=columns_of(table), leaf=named(leaf), under=any_between(table))
        lowest, highest = ids
        values = {"first": f"({pages.start},0)", "beyond": f"({pages.stop},0)", "lowest": lowest, "highest": highest}
        cursor = self._connection.execute(query, values, binary=True)
        return list(map(row_of(table), cursor.fetchall()))

    def replace(self, table: EncryptedTable, leaf: str, replacements: Sequence[Replacement]) -> int | None:
        """Put (row as it was read, what its sealed columns become) where the row still is exactly that; how many were.

        None: somebody holds one of them for longer than LOCK_TIMEOUT_MILLISECONDS, and nothing has happened.
        """
        before = zip(*(row.sealed for row, _ in replacements), strict=True)
        after = zip(*(sealed for _, sealed in replacements), strict=True)
        values = [[row.at for row, _ in replacements], *map(list, before), *map(list, after)]
        try:
            return self._connection.execute(replacing(table, leaf), values, binary=False).rowcount
        except pg.LockNotAvailable:
            return None

    def key_ids(self, table: EncryptedTable) -> Counter[int]:
        """How many values of the table, at one moment, name each key id; -1: what is too short to name one."""
        selects = [
            sql.SQL("SELECT {id} AS id, count(*) AS n FROM {relation} t WHERE {column} IS NOT NULL GROUP BY 1").format(
                id=key_id_of(column, is_index=is_index), relation=relation_of(table), column=qualified(column)
            )
            for column, is_index in sealed_of(table)
        ]
        query = sql.SQL("SELECT id, sum(n)::bigint FROM ({}) AS each GROUP BY 1").format(
            sql.SQL(" UNION ALL ").join(selects)
        )
        with self._whole():
            rows = self._connection.execute(query).fetchall()
        counted: Counter[int] = Counter()
        for name, count in rows:
            counted[int.from_bytes(name, "big") if len(name) == 4 else -1] += count  # noqa: PLR2004  a key id's length
        return counted

    def by_ids(self, table: EncryptedTable, row_ids: Sequence[RowId]) -> list[EncryptedRow]:
        """The rows of these primary keys that there are, as they are now."""
        made, found = row_of(table), []
        conditions = sql.SQL(" AND ").join(sql.SQL("{} = %s").format(qualified(column)) for column in table.row_id)
        query = sql.SQL("SELECT {columns} FROM {relation} t WHERE {ids}").format(
            columns=columns_of(table), relation=relation_of(table), ids=conditions
        )
        for row_id in row_ids:
            rows = self._connection.execute(query, parts_of(row_id), binary=True).fetchall()
            found += map(made, rows)
        return found

    def insert(self, table: EncryptedTable, row_id: RowId, tenant: str, sealed: Sequence[bytes | None]) -> bool:
        """A golden row, unless there is one of this id; whether it was put."""
        columns = [*table.row_id, table.tenant, *table.sealed_columns, *table.golden]
        values = [*parts_of(row_id), tenant, *sealed, *table.golden.values()]
        query = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT DO NOTHING").format(
            relation_of(table),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join(sql.Placeholder() * len(columns)),
        )
        with self._durably():
            return self._connection.execute(query, values).rowcount == 1

    def overwrite(self, table: EncryptedTable, row_id: RowId, sealed: Sequence[bytes | None]) -> bool:
        """What a golden row holds from now on, committed to disk; whether it is there."""
        query = sql.SQL("UPDATE {} t SET {} WHERE {}").format(
            relation_of(table),
            sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(each)) for each in table.sealed_columns),
            sql.SQL(" AND ").join(sql.SQL("{} = %s").format(qualified(column)) for column in table.row_id),
        )
        with self._durably():
            return self._connection.execute(query, [*sealed, *parts_of(row_id)]).rowcount == 1

    def next_transaction(self) -> int:
        """A transaction's number: whatever writes and began before has a smaller one."""
        return self._value("SELECT pg_current_xact_id()::text::bigint")

    def oldest_transaction(self) -> int:
        """The smallest number of a transaction that has written something and is not over."""
        return self._value("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")

    def flush(self) -> None:
        """Every commit before this one is on disk: without it a count could be of what a crash takes back."""
        with self._durably():
            self._connection.execute("SELECT pg_logical_emit_message(true, 'steward', '')")

    @contextmanager
    def _durably(self) -> Generator[None]:
        with self._connection.transaction():
            self._connection.execute("SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '10s'")
            self._connection.execute("SET LOCAL enable_seqscan = on")
            yield

    @contextmanager
    def _whole(self) -> Generator[None]:
        """One transaction over a whole table, for as long as that takes."""
        with self._connection.transaction():
            self._connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL enable_seqscan = on")
            self._connection.execute(
                "SET LOCAL enable_hashjoin = on; SET LOCAL idle_in_transaction_session_timeout = 0"
            )
            yield

    def _value(self, query: Any, *values: Any) -> int:
        return next(value for (value,) in self._connection.execute(query, values).fetchall())
