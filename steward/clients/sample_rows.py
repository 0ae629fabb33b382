"""Rows made up for tables that nobody has filled: enough to see that a migration loses none, and no customer's.

Referenced tables come first, and a foreign key takes its values from them; each other column gets a value of its type. What a
constraint refuses is left out: a table whose every row is refused stays empty, and is told by its count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Any

import psycopg
from psycopg import sql

from steward.clients.postgres import Connection

#: Of one table. Enough for each value of an enumeration, and for NULLs and defaults beside values.
ROWS_OF_A_TABLE = 25
#: A schema with more tables is filled in part: what is left empty is told by its count, as any other.
MOST_TABLES = 400

_COLUMNS = """
SELECT c.oid::int8, n.nspname, c.relname, a.attnum, a.attname, a.attnotnull, a.atthasdef,
       coalesce(pg_get_expr(f.adbin, f.adrelid) LIKE '%(%', false),
       coalesce(nullif(t.typbasetype, 0)::regtype, t.oid::regtype)::text,
       coalesce(nullif(a.atttypmod, -1), t.typtypmod), coalesce(b.typtype, t.typtype) = 'e',
       coalesce(b.typcategory, t.typcategory) = 'A',
       (SELECT array_agg(l.enumlabel::text ORDER BY l.enumsortorder) FROM pg_enum l WHERE l.enumtypid = coalesce(b.oid, t.oid)),
       (SELECT string_agg(pg_get_constraintdef(k.oid), ' ') FROM pg_constraint k
        WHERE k.contype = 'c' AND (k.conrelid = c.oid AND k.conkey = ARRAY[a.attnum] OR k.contypid = t.oid))
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attrdef f ON f.adrelid = c.oid AND f.adnum = a.attnum
JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type b ON b.oid = nullif(t.typbasetype, 0)
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND a.attnum > 0 AND NOT a.attisdropped AND a.attidentity = '' AND a.attgenerated = ''
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.oid, a.attnum
"""
_KEYS = """
SELECT k.conrelid::int8, k.confrelid::int8, k.conkey::int[], n.nspname, c.relname,
       (SELECT array_agg(a.attname::text ORDER BY u.at) FROM unnest(k.confkey) WITH ORDINALITY u (num, at)
        JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.confrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0
"""
# What a CHECK compares with: `CHECK ((state = ANY (ARRAY['open'::text, 'paid'::text])))`.
_LITERAL = re.compile(r"'((?:[^']|'')*)'::")

#: By type, of the number of the row.
_VALUES = {
    "boolean": lambda row: row % 2 == 0,
    "uuid": lambda row: f"00000000-0000-4000-8000-{row:012d}",
    "json": lambda row: f'{{"row": {row}}}',
    "jsonb": lambda row: f'{{"row": {row}}}',
    "bytea": lambda row: bytes([row % 256, 0, 255]),
    "date": lambda row: f"2024-01-{1 + row % 28:02d}",
    "time without time zone": lambda row: f"12:{row % 60:02d}:00",
    "time with time zone": lambda row: f"12:{row % 60:02d}:00+00",
    "timestamp without time zone": lambda row: f"2024-01-{1 + row % 28:02d} 12:00:00.123456",
    "timestamp with time zone": lambda row: f"2024-01-{1 + row % 28:02d} 12:00:00.123456+00",
    "interval": lambda row: f"{row} hours",
    "inet": lambda row: f"192.0.2.{row % 256}",
    "cidr": lambda row: f"192.0.2.{row % 256}/32",
    "macaddr": lambda row: f"08:00:2b:01:02:{row % 256:02x}",
    "numeric": str,
    "smallint": str,
    "integer": str,
    "bigint": str,
    "real": lambda row: f"{row}.5",
    "double precision": lambda row: f"{row}.5",
}


@dataclass(frozen=True)
class _Column:
    number: int
    name: str
    required: bool
    has_default: bool
    is_computed: bool
    """Its default is a function's, as of a sequence: a value of our own would be in that one's way."""
    kind: str
    modifier: int
    is_array: bool
    choices: tuple[str, ...]
    """What alone it may be: labels of an enumeration, or what a CHECK compares it with."""

    def value(self, row: int) -> Any:
        """Of row number *row*; None now and then where it may be, and a default where there is one."""
        if self.is_computed or (self.has_default and row % 2 == 0):
            return sql.DEFAULT
        if not self.required and row % 3 == 0:
            return None
        if self.choices:
            return self.choices[row % len(self.choices)]
        if self.is_array:
            return "{}"
        return _VALUES[self.kind](row) if self.kind in _VALUES else self._text(row)

    def _text(self, row: int) -> str:
        # The modifier of character types is their length and four more bytes.
        length = self.modifier - 4 if self.kind.startswith("character") and self.modifier > 4 else None  # noqa: PLR2004
        return f"{row} sämple"[:length]


@dataclass(frozen=True)
class _Table:
    oid: int
    name: sql.Identifier
    columns: tuple[_Column, ...]


@dataclass(frozen=True)
class _Key:
    table: int
    target: int
    columns: tuple[int, ...]
    target_name: sql.Identifier
    target_columns: tuple[str, ...]


def fill(db: Connection, *, except_for: str = "version_num") -> None:
    """Put up to ROWS_OF_A_TABLE rows into each table that has none, but those of a column *except_for*: Alembic's own."""
    tables, keys = _tables(db), _keys(db)
    for oid in _ordered(tables, keys)[:MOST_TABLES]:
        table = tables[oid]
        if all(column.name != except_for for column in table.columns) and not _has_rows(db, table):
            _fill(db, table, [key for key in keys if key.table == oid])


def _tables(db: Connection) -> dict[int, _Table]:
    found: dict[int, _Table] = {}
    for oid, schema, name, *rest in db.execute(_COLUMNS).fetchall():
        before = found.get(oid, _Table(oid, sql.Identifier(schema, name), ()))
        found[oid] = _Table(oid, before.name, (*before.columns, _column(*rest)))
    return found


def _column(  # noqa: PLR0917  as the query gives them
    number: int,
    name: str,
    required: bool,
    has_default: bool,
    is_computed: bool,
    kind: str,
    modifier: int,
    is_enum: bool,
    is_array: bool,
    labels: Sequence[str] | None,
    check: str | None,
) -> _Column:
    choices = labels if is_enum else [each.replace("''", "'") for each in _LITERAL.findall(check or "")]
    return _Column(number, name, required, has_default, is_computed, kind, modifier, is_array, tuple(choices or ()))


def _keys(db: Connection) -> list[_Key]:
    return [
        _Key(table, target, tuple(columns), sql.Identifier(schema, name), tuple(names))
        for table, target, columns, schema, name, names in db.execute(_KEYS).fetchall()
    ]


def _ordered(tables: dict[int, _Table], keys: Sequence[_Key]) -> list[int]:
    """Referenced tables first. In a ring of them, first the one whose key may be NULL."""
    needs = {
        oid: {key.target for key in keys if key.table == oid and key.target != oid} & set(tables) for oid in tables
    }
    while True:
        try:
            return list(TopologicalSorter(needs).static_order())
        except CycleError as error:
            ring = pairwise(error.args[1])
            needed, by = min(ring, key=lambda pair: _is_required(tables[pair[1]], pair[0], keys))
            needs[by].discard(needed)


def _is_required(table: _Table, target: int, keys: Sequence[_Key]) -> bool:
    """Whether no row of *table* can be without one of *target*."""
    required = {column.number for column in table.columns if column.required}
    return any(key.table == table.oid and key.target == target and required & set(key.columns) for key in keys)


def _has_rows(db: Connection, table: _Table) -> bool:
    return db.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(table.name)).fetchone() is not None


def _fill(db: Connection, table: _Table, keys: Sequence[_Key]) -> None:
    for row in range(1, ROWS_OF_A_TABLE + 1):
        values = {column.number: column.value(row) for column in table.columns}
        for key in keys:
            values |= _referred(db, key, row)
        try:
            with db.transaction():
                db.execute(_insert(table, values))
        except psycopg.OperationalError:
            raise
        except psycopg.Error:
            # A rule of the schema, or one of its triggers', that made-up values do not know.
            continue


def _referred(db: Connection, key: _Key, row: int) -> dict[int, Any]:
    """Of the columns of a foreign key, the values of one of the rows it may point to; None where there is none."""
    names = sql.SQL(", ").join(map(sql.Identifier, key.target_columns))
    query = sql.SQL("SELECT {0} FROM {1} ORDER BY {0} OFFSET {2} LIMIT 1")
    count = db.execute(sql.SQL("SELECT count(*) FROM {}").format(key.target_name)).fetchone()
    offset = row % (count[0] or 1) if count else 0
    found = db.execute(query.format(names, key.target_name, offset)).fetchone()
    return dict(zip(key.columns, found or [None] * len(key.columns), strict=True))


def _insert(table: _Table, values: dict[int, Any]) -> sql.Composed:
    def literals() -> Iterator[sql.Composable]:
        for column in table.columns:
            value = values[column.number]
            yield value if isinstance(value, sql.Composable) else sql.Literal(value)

    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)
    insert = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT DO NOTHING")
    return insert.format(table.name, names, sql.SQL(", ").join(literals()))
