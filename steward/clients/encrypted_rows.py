"""Rows with encrypted columns in an application's database: read in the order in which they lie, and replaced.

A table is gone through by ranges of its pages (TID range scans), so no index is needed and none is in the way: the
order is the disk's, parts of it can be done side by side, and what is done is a number of pages. Rows that move
meanwhile are found by the next pass; that none is left is said by one statement, that is of one moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString, NamedTuple, cast

from psycopg import errors as pg
from psycopg import sql

from steward.clients.postgres import Connection, Database, open_connection, worded
from steward.fieldcrypt.framing import RowId
from steward.keys.columns import EncryptedField, EncryptedTable

#: Far below PostgreSQL's deadlock_timeout of 1 s: where a row is held, this side gives way and the application goes on.
LOCK_TIMEOUT_MILLISECONDS = 50
#: One batch of a sweep; a whole table is counted or read without a limit.
BATCH_TIMEOUT_SECONDS = 60
#: Rows of a whole table that are fetched at a time.
_FETCHED = 2000


class EncryptedRow(NamedTuple):
    """One version of a row."""

    at: str
    """Its place, (page, item)."""
    row_id: RowId
    tenant: str
    sealed: tuple[bytes | None, ...]
    """Ciphertexts and blind indexes, in the order of EncryptedTable.sealed_columns."""


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
            {"table": _relation(table).as_string()},
        ).fetchall()
        return [name for (name,) in rows]

    def pages(self, leaf: str) -> int:
        """How many pages of 8 KiB the relation has now."""
        return self._value("SELECT (pg_relation_size(%s::regclass) / current_setting('block_size')::int)::bigint", leaf)

    def batch(self, table: EncryptedTable, leaf: str, pages: range, old_ids: Sequence[bytes]) -> list[EncryptedRow]:
        """Rows on *pages* that have anything under one of *old_ids* (key ids as ciphertexts have them)."""
        query = sql.SQL(
            "SELECT {columns} FROM {leaf} t WHERE t.ctid >= %(first)s::tid AND t.ctid < %(beyond)s::tid AND ({old})"
        ).format(columns=_columns(table), leaf=_named(leaf), old=_any_under(table, sql.SQL("%(old)s")))
        bounds = {"first": f"({pages.start},0)", "beyond": f"({pages.stop},0)", "old": list(old_ids)}
        cursor = self._connection.execute(query, bounds, binary=True)
        return list(map(_row_of(table), cursor.fetchall()))

    def replace(self, table: EncryptedTable, leaf: str, replacements: Sequence[Replacement]) -> int | None:
        """Put (row as it was read, what its sealed columns become) where the row still is exactly that; how many were.

        None: somebody holds one of them for longer than LOCK_TIMEOUT_MILLISECONDS, and nothing has happened.
        """
        before = zip(*(row.sealed for row, _ in replacements), strict=True)
        after = zip(*(sealed for _, sealed in replacements), strict=True)
        values = [[row.at for row, _ in replacements], *map(list, before), *map(list, after)]
        try:
            return self._connection.execute(_replacing(table, leaf), values, binary=False).rowcount
        except pg.LockNotAvailable:
            return None

    def key_ids(self, table: EncryptedTable) -> Counter[int]:
        """How many values of the table, at one moment, name each key id; -1: what is too short to name one."""
        selects = [
            sql.SQL("SELECT {id} AS id, count(*) AS n FROM {relation} t WHERE {column} IS NOT NULL GROUP BY 1").format(
                id=_key_id(column, is_index=is_index), relation=_relation(table), column=_of(column)
            )
            for column, is_index in _sealed(table)
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

    def all(self, table: EncryptedTable, tenants: Sequence[str] | None = None) -> Iterator[EncryptedRow]:
        """Every row of one moment, or those of *tenants*."""
        query = sql.SQL("SELECT {columns} FROM {relation} t").format(columns=_columns(table), relation=_relation(table))
        if tenants is not None:
            query += sql.SQL(" WHERE {} = ANY(%s)").format(_of(table.tenant))
        made = _row_of(table)
        with self._whole(), self._connection.cursor("steward_rows", binary=True) as cursor:
            cursor.itersize = _FETCHED
            cursor.execute(query, None if tenants is None else [list(tenants)])
            for raw in cursor:
                yield made(raw)

    def having(self, table: EncryptedTable, field: EncryptedField, tenant: str, indexes: Sequence[bytes]) -> set[RowId]:
        """Row ids of the tenant's rows whose blind index is one of *indexes*: as an application searches."""
        query = sql.SQL("SELECT {columns} FROM {relation} t WHERE {tenant} = %s AND {index} = ANY(%s)").format(
            columns=_columns(table),
            relation=_relation(table),
            tenant=_of(table.tenant),
            index=_of(str(field.index)),
        )
        rows = self._connection.execute(query, [tenant, list(indexes)], binary=True).fetchall()
        return {made.row_id for made in map(_row_of(table), rows)}

    def by_ids(self, table: EncryptedTable, row_ids: Sequence[RowId]) -> list[EncryptedRow]:
        """The rows of these primary keys that there are, as they are now."""
        made, found = _row_of(table), []
        conditions = sql.SQL(" AND ").join(sql.SQL("{} = %s").format(_of(column)) for column in table.row_id)
        query = sql.SQL("SELECT {columns} FROM {relation} t WHERE {ids}").format(
            columns=_columns(table), relation=_relation(table), ids=conditions
        )
        for row_id in row_ids:
            rows = self._connection.execute(query, _parts(row_id), binary=True).fetchall()
            found += map(made, rows)
        return found

    def insert(self, table: EncryptedTable, row_id: RowId, tenant: str, sealed: Sequence[bytes | None]) -> bool:
        """A golden row, unless there is one of this id; whether it was put."""
        columns = [*table.row_id, table.tenant, *table.sealed_columns, *table.golden]
        values = [*_parts(row_id), tenant, *sealed, *table.golden.values()]
        query = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT DO NOTHING").format(
            _relation(table),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join(sql.Placeholder() * len(columns)),
        )
        with self._durably():
            return self._connection.execute(query, values).rowcount == 1

    def overwrite(self, table: EncryptedTable, row_id: RowId, sealed: Sequence[bytes | None]) -> bool:
        """What a golden row holds from now on, committed to disk; whether it is there."""
        query = sql.SQL("UPDATE {} t SET {} WHERE {}").format(
            _relation(table),
            sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(each)) for each in table.sealed_columns),
            sql.SQL(" AND ").join(sql.SQL("{} = %s").format(_of(column)) for column in table.row_id),
        )
        with self._durably():
            return self._connection.execute(query, [*sealed, *_parts(row_id)]).rowcount == 1

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


def _row_of(table: EncryptedTable) -> Callable[[Sequence[Any]], EncryptedRow]:
    ids, single = len(table.row_id), len(table.row_id) == 1

    def made(raw: Sequence[Any]) -> EncryptedRow:
        row_id = raw[1] if single else tuple(raw[1 : 1 + ids])
        return EncryptedRow(raw[0], row_id, raw[1 + ids], tuple(raw[2 + ids :]))

    return made


def _columns(table: EncryptedTable) -> sql.Composable:
    named = [sql.SQL("t.ctid::text"), *map(_of, table.row_id), sql.SQL("{}::text").format(_of(table.tenant))]
    return sql.SQL(", ").join([*named, *map(_of, table.sealed_columns)])


def _sealed(table: EncryptedTable) -> Iterator[tuple[str, bool]]:
    """(column, whether it is a blind index)."""
    for field in table.fields:
        yield field.column, False
        if field.index:
            yield field.index, True


def _any_under(table: EncryptedTable, ids: sql.Composable) -> sql.Composable:
    return sql.SQL(" OR ").join(
        sql.SQL("{} = ANY({}::bytea[])").format(_key_id(column, is_index=is_index), ids)
        for column, is_index in _sealed(table)
    )


def _key_id(column: str, *, is_index: bool) -> sql.Composable:
    # Where envelope and blind index have it.
    return sql.SQL("substring({} from {} for 4)").format(_of(column), sql.Literal(1 if is_index else 3))


def _replacing(table: EncryptedTable, leaf: str) -> sql.Composed:
    columns = table.sealed_columns
    old = [sql.Identifier(f"old_{number}") for number in range(len(columns))]
    new = [sql.Identifier(f"new_{number}") for number in range(len(columns))]
    arrays = [sql.SQL("%s::tid[]"), *[sql.SQL("%b::bytea[]")] * (2 * len(columns))]
    return sql.SQL(
        "UPDATE {leaf} t SET {sets} FROM unnest({arrays}) AS v(at, {names}) WHERE t.ctid = v.at AND {same}"
    ).format(
        leaf=_named(leaf),
        sets=sql.SQL(", ").join(
            sql.SQL("{} = v.{}").format(sql.Identifier(column), name) for column, name in zip(columns, new, strict=True)
        ),
        arrays=sql.SQL(", ").join(arrays),
        names=sql.SQL(", ").join([*old, *new]),
        same=sql.SQL(" AND ").join(
            sql.SQL("{} IS NOT DISTINCT FROM v.{}").format(_of(column), name)
            for column, name in zip(columns, old, strict=True)
        ),
    )


def _relation(table: EncryptedTable) -> sql.Composed | sql.Identifier:
    return sql.Identifier(*table.where.split(".", 1))


def _of(column: str) -> sql.Composable:
    return sql.SQL("t.{}").format(sql.Identifier(column))


def _named(leaf: str) -> sql.SQL:
    # As PostgreSQL itself has written it, quoted where that is needed.
    return sql.SQL(cast("LiteralString", leaf))


def _parts(row_id: RowId) -> list[Any]:
    return list(row_id) if isinstance(row_id, tuple) else [row_id]
