"""Whether an application's database is as its file of encrypted columns says: before a key is touched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from psycopg import sql

from steward.clients.postgres import Connection
from steward.keys.columns import EncryptedColumns, EncryptedTable
from steward.keys.golden import ROW_ID_KINDS


def find_faults(connection: Connection, columns: EncryptedColumns) -> list[str]:
    """What does not fit, in words; empty: everything fits."""
    faults = [fault for table in columns.tables for fault in _faults_of(connection, table)]
    described = {(_oid(connection, table), column) for table in columns.tables for column in table.sealed_columns}
    return faults or [*_undescribed(connection, described)]


def row_id_kinds(connection: Connection, table: EncryptedTable) -> tuple[str, ...]:
    """PostgreSQL's types of the primary key's columns."""
    kinds = _kinds(connection, _oid(connection, table))
    return tuple(kinds[column] for column in table.row_id)


def _faults_of(connection: Connection, table: EncryptedTable) -> Iterator[str]:
    oid = _oid(connection, table)
    if oid is None:
        yield f"there is no table {table.where}"
        return
    kinds = _kinds(connection, oid)
    for column in table.columns:
        if column not in kinds:
            yield f"{table.where} has no column {column}"
    for column in table.sealed_columns:
        if kinds.get(column, "bytea") != "bytea":
            yield f"{table.where}.{column} is {kinds[column]}, expected bytea"
    if (primary := _primary_key(connection, oid)) != list(table.row_id):
        yield f"{table.where} has primary key ({', '.join(primary)}), expected ({', '.join(table.row_id)})"
    for column in table.row_id:
        if kinds.get(column, "uuid") not in ROW_ID_KINDS:
            yield f"{table.where}.{column} is {kinds[column]}, expected one of {', '.join(sorted(ROW_ID_KINDS))}"
    yield from _golden(connection, table, oid, kinds)
    yield from _closed(connection, table, oid)


def _golden(connection: Connection, table: EncryptedTable, oid: int, kinds: dict[str, str]) -> Iterator[str]:
    """What would keep golden rows from being planted."""
    for column in table.golden:
        if column not in kinds:
            yield f"{table.where} has no column {column}, which its golden rows are to fill"
    for column in _needed(connection, oid):
        if column not in {*table.columns, *table.golden}:
            yield f"{table.where}.{column} is NOT NULL without a default: say in `golden` what golden rows have there"


def _closed(connection: Connection, table: EncryptedTable, oid: int) -> Iterator[str]:
    """What this user may not see or do. Partitions are gone through one by one, so each has to be open."""
    if _one(connection, _HAS_HEIRS, oid):
        yield f"tables inherit from {table.where}: their rows would be read with it, and not re-encrypted"
    if not _one(connection, "SELECT has_table_privilege(%s::oid, 'INSERT')", oid):
        yield f"this user may not INSERT {table.where}"
    for name, part in [(table.where, oid), *_partitions(connection, oid)]:
        for privilege in ("SELECT", "UPDATE"):
            if not _one(connection, "SELECT has_table_privilege(%s::oid, %s)", part, privilege):
                yield f"this user may not {privilege} {name}"
        if _one(connection, "SELECT row_security_active(%s::oid)", part):
            # It hides rows without a word, and their keys would be destroyed.
            yield f"{name} shows this user the rows that a policy allows only; expected a user with BYPASSRLS"


def _undescribed(connection: Connection, described: set[tuple[int | None, str]]) -> Iterator[str]:
    """Columns of bytes that nobody described and that hold ciphertexts: their keys would be destroyed."""
    rows = connection.execute(_COLUMNS_OF_BYTES).fetchall()
    for oid, schema, relation, column in rows:
        if (oid, column) in described:
            continue
        sample = sql.SQL(
            "SELECT count(*) FROM (SELECT {c} AS b FROM {r} WHERE {c} IS NOT NULL LIMIT 20) s WHERE {is_one}"
        )
        one = sql.SQL("get_byte(b, 0) = 1 AND get_byte(b, 1) & 15 = 1 AND get_byte(b, 2) < 128")
        query = sample.format(
            c=sql.Identifier(column),
            r=sql.Identifier(schema, relation),
            is_one=sql.SQL("CASE WHEN octet_length(b) >= 70 THEN {} ELSE false END").format(one),
        )
        if next(iter(connection.execute(query).fetchall()))[0]:
            yield f"{schema}.{relation}.{column} holds ciphertexts, and the file of encrypted columns does not name it"


def _oid(connection: Connection, table: EncryptedTable) -> int | None:
    return _one(connection, "SELECT to_regclass(%s)::oid", sql.Identifier(*table.where.split(".", 1)).as_string())


def _kinds(connection: Connection, oid: int | None) -> dict[str, str]:
    return dict(
        connection.execute(
            "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute "
            "WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped",
            [oid],
        ).fetchall()
    )


def _needed(connection: Connection, oid: int) -> list[str]:
    rows = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped "
        "AND attnotnull AND NOT atthasdef AND attidentity = '' ORDER BY attnum",
        [oid],
    ).fetchall()
    return [name for (name,) in rows]


def _partitions(connection: Connection, oid: int) -> list[tuple[str, int]]:
    return connection.execute(
        "SELECT relid::text, relid::oid FROM pg_partition_tree(%s::oid) WHERE isleaf ORDER BY 2", [oid]
    ).fetchall()


def _primary_key(connection: Connection, oid: int) -> list[str]:
    rows = connection.execute(
        "SELECT a.attname FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k(attnum, place), pg_attribute a "
        "WHERE i.indrelid = %s AND i.indisprimary AND a.attrelid = i.indrelid AND a.attnum = k.attnum ORDER BY k.place",
        [oid],
    ).fetchall()
    return [name for (name,) in rows]


def _one(connection: Connection, query: str, *values: Any) -> Any:
    return next(value for (value,) in connection.execute(query.encode(), values).fetchall())


# Otherwise than as partitions.
_HAS_HEIRS = """
SELECT EXISTS (SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent WHERE c.oid = %s AND c.relkind = 'r')
"""

# Tables that this user may read; partitions are their parent's.
_COLUMNS_OF_BYTES = """
SELECT c.oid, n.nspname, c.relname, a.attname FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.atttypid = 'bytea'::regtype AND a.attnum > 0
AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND has_table_privilege(c.oid, 'SELECT')
"""
