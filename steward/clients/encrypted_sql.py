"""SQL over tables of encrypted columns, and rows as it gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, LiteralString, NamedTuple, cast

from psycopg import sql

from steward.fieldcrypt.framing import RowId
from steward.keys.columns import EncryptedTable


class EncryptedRow(NamedTuple):
    """One version of a row."""

    at: str
    """Its place, (page, item)."""
    row_id: RowId
    tenant: str
    sealed: tuple[bytes | None, ...]
    """Ciphertexts and blind indexes, in the order of EncryptedTable.sealed_columns."""


def row_of(table: EncryptedTable) -> Callable[[Sequence[Any]], EncryptedRow]:
    ids, single = len(table.row_id), len(table.row_id) == 1

    def made(raw: Sequence[Any]) -> EncryptedRow:
        row_id = raw[1] if single else tuple(raw[1 : 1 + ids])
        return EncryptedRow(raw[0], row_id, raw[1 + ids], tuple(raw[2 + ids :]))

    return made


def columns_of(table: EncryptedTable) -> sql.Composable:
    named = [
        sql.SQL("t.ctid::text"),
        *map(qualified, table.row_id),
        sql.SQL("{}::text").format(qualified(table.tenant)),
    ]
    return sql.SQL(", ").join([*named, *map(qualified, table.sealed_columns)])


def sealed_of(table: EncryptedTable) -> Iterator[tuple[str, bool]]:
    """(column, whether it is a blind index)."""
    for field in table.fields:
        yield field.column, False
        if field.index:
            yield field.index, True


def any_between(table: EncryptedTable) -> sql.Composable:
    """Whether any value names a key id between the parameters `lowest` and `highest`, both included."""
    return sql.SQL(" OR ").join(
        sql.SQL("{} BETWEEN %(lowest)s::bytea AND %(highest)s::bytea").format(key_id_of(column, is_index=is_index))
        for column, is_index in sealed_of(table)
    )


def key_id_of(column: str, *, is_index: bool) -> sql.Composable:
    # Where envelope and blind index have it.
    return sql.SQL("substring({} from {} for 4)").format(qualified(column), sql.Literal(1 if is_index else 3))


def replacing(table: EncryptedTable, leaf: str) -> sql.Composed:
    columns = table.sealed_columns
    old = [sql.Identifier(f"old_{number}") for number in range(len(columns))]
    new = [sql.Identifier(f"new_{number}") for number in range(len(columns))]
    arrays = [sql.SQL("%s::tid[]"), *[sql.SQL("%b::bytea[]")] * (2 * len(columns))]
    return sql.SQL(
        "UPDATE {leaf} t SET {sets} FROM unnest({arrays}) AS v(at, {names}) WHERE t.ctid = v.at AND {same}"
    ).format(
        leaf=named(leaf),
        sets=sql.SQL(", ").join(
            sql.SQL("{} = v.{}").format(sql.Identifier(column), name) for column, name in zip(columns, new, strict=True)
        ),
        arrays=sql.SQL(", ").join(arrays),
        names=sql.SQL(", ").join([*old, *new]),
        same=sql.SQL(" AND ").join(
            sql.SQL("{} IS NOT DISTINCT FROM v.{}").format(qualified(column), name)
            for column, name in zip(columns, old, strict=True)
        ),
    )


def relation_of(table: EncryptedTable) -> sql.Composed | sql.Identifier:
    return sql.Identifier(*table.where.split(".", 1))


def qualified(column: str) -> sql.Composable:
    return sql.SQL("t.{}").format(sql.Identifier(column))


def named(leaf: str) -> sql.SQL:
    # As PostgreSQL itself has written it, quoted where that is needed.
    return sql.SQL(cast("LiteralString", leaf))


def parts_of(row_id: RowId) -> list[Any]:
    return list(row_id) if isinstance(row_id, tuple) else [row_id]
