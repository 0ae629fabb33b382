"""What a column's type cannot see: expressions written to an encrypted column, and sorting by it.

A type sees values when they are bound. `values(email=Customer.notes)` or INSERT … SELECT binds none. So every statement
is looked at when SQLAlchemy compiles it, also within another. Compiled ones are kept and cost nothing more: whatever is
refused here must follow from a statement's form alone, for its next values are not seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import BindParameter, ClauseElement, Column, Insert, Null, Select, Update
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Mapper
from sqlalchemy.types import NullType

from steward.fieldcrypt.sqlalchemy.columns import INDEX_SUFFIX, BlindIndex, Encrypted
from steward.fieldcrypt.sqlalchemy.comparison import as_clause
from steward.fieldcrypt.sqlalchemy.errors import SearchRefused, WriteRefused


def watch() -> None:
    """Look at every statement of this process from now on. Safe to call again."""
    compiles(Insert)(_insert)
    compiles(Update)(_update)
    compiles(Select)(_select)


def _insert(statement: Insert, compiler: Any, **options: Any) -> str:
    _check_write(statement, compiler.column_keys or ())
    return compiler.visit_insert(statement, **options)


def _update(statement: Update, compiler: Any, **options: Any) -> str:
    _check_write(statement, compiler.column_keys or ())
    return compiler.visit_update(statement, **options)


def _select(statement: Select[Any], compiler: Any, **options: Any) -> str:
    _check_sorting(statement)
    return compiler.visit_select(statement, **options)


def _check_write(statement: Insert | Update, parameters: Iterable[Any]) -> None:
    """Raises WriteRefused. *parameters* are the names of the values that come with the execution."""
    guarded, pairs = _guarded(statement.table)
    if not guarded:
        return
    selected: Iterable[Any] = getattr(statement, "_select_names", None) or ()
    if guarded.intersection(_key(statement, name) for name in selected):
        raise _expression("INSERT … SELECT")
    bound = {_key(statement, name) for name in parameters}
    for values in _assigned(statement) or [{}]:
        named = {_key(statement, column): value for column, value in values.items()}
        for key in guarded.intersection(named):
            _check_value(named[key])
        _check_pairs(statement.table, pairs, bound | named.keys())


def _guarded(table: Any) -> tuple[frozenset[str], list[frozenset[str]]]:
    """Keys of the columns of ciphertexts and indexes, and which of them belong together."""
    known = _known.get(table)
    # A class that inherits a table may add columns to it.
    if known is None or known[0] != len(table.c):
        guarded = frozenset(column.key for column in table.c if isinstance(column.type, Encrypted | BlindIndex))
        searched = [c.key for c in table.c if isinstance(c.type, Encrypted) and c.type.searchable]
        pairs = [frozenset({key, f"{key}{INDEX_SUFFIX}"}) for key in searched]
        known = _known[table] = len(table.c), guarded, pairs
    return known[1:]


_known: WeakKeyDictionary[Any, tuple[int, frozenset[str], list[frozenset[str]]]] = WeakKeyDictionary()


def _assigned(statement: Any) -> list[Mapping[Any, Any]]:
    """Each row's values, and those of ON CONFLICT DO UPDATE: SQLAlchemy keeps them in these attributes."""
    rows = [row for rows in getattr(statement, "_multi_values", ()) for row in rows]
    upsert = getattr(getattr(statement, "_post_values_clause", None), "update_values_to_set", None)
    return [values for values in (statement._values, *rows, dict(upsert or ())) if values]  # noqa: SLF001


def _check_value(value: Any) -> None:
    """A bound value goes by the column's type, unless it has one of its own."""
    if isinstance(value, BindParameter):
        if isinstance(value.type, NullType | Encrypted | BlindIndex):
            return
        raise _expression(f"a value bound as {type(value.type).__name__}")
    if isinstance(as_clause(value), ClauseElement) and not isinstance(value, Null):
        raise _expression("a SQL expression")


def _check_pairs(table: object, pairs: list[frozenset[str]], written: set[str]) -> None:
    """A ciphertext without its index, or an index without its ciphertext, would be found by what it no longer is."""
    for pair in pairs:
        if len(pair & written) == 1:
            (half,), (other,) = pair & written, pair - written
            raise WriteRefused(
                f"a statement writes {table}.{half} without {other}",
                hint="it bypasses the mapper's events: **sealed(…) makes both; for NULL, both None",
            )


def _key(statement: Any, name: Any) -> str:
    """The table's key of a column that a statement names by column, by attribute, or by attribute's name."""
    if not isinstance(name, str):
        name = as_clause(name)
    if isinstance(name, Column):
        return str(name.key)
    mapper = statement._propagate_attrs.get("plugin_subject")  # noqa: SLF001
    if isinstance(mapper, Mapper) and name in mapper.column_attrs:
        return str(mapper.column_attrs[name].columns[0].key)
    return str(getattr(name, "key", name))


def _check_sorting(statement: Select[Any]) -> None:
    for element in (*statement._order_by_clauses, *statement._group_by_clauses):  # noqa: SLF001
        if isinstance(getattr(getattr(element, "element", element), "type", None), Encrypted):
            raise SearchRefused(
                "a statement sorts or groups by an encrypted column, whose ciphertexts are random",
                hint="sort after decryption; equal values of one tenant are grouped by the index column",
            )


def _expression(what: str) -> WriteRefused:
    return WriteRefused(
        f"{what} for an encrypted column: what the database computes or copies is not encrypted for its row",
        hint="load the objects and assign the values, or bind what steward.fieldcrypt.sqlalchemy.sealed(…) makes",
    )
