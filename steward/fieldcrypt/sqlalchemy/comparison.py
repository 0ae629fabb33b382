"""`Customer.email == "ada@example.net"`, which becomes a search in the index column beside it.

The indexes are computed where the expression is written, under the tenant bound there: no plaintext enters a
statement, its parameters, its log or its errors.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import BinaryExpression, Boolean, ClauseElement, Column, ColumnClause, ColumnElement, Null
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import operators
from sqlalchemy.types import TypeDecorator

from steward.fieldcrypt.cipher import FieldCipher
from steward.fieldcrypt.process import bound_tenant
from steward.fieldcrypt.sqlalchemy.errors import SearchRefused
from steward.fieldcrypt.sqlalchemy.stored import Ciphertext, Index, Pending

_NULLNESS = {operators.eq, operators.ne, operators.is_, operators.is_not}


class Place(NamedTuple):
    """What a column's ciphertexts are bound to, beside the row."""

    table: str
    field: str


def place_of(column: Column[Any]) -> Place:
    """The table with its schema, if the model names one, and the column; or what the type says instead."""
    kind: Any = column.type
    return Place(kind.table or column.table.fullname, kind.field or column.name)


class EncryptedComparator(TypeDecorator.Comparator[Any]):
    """Equality with a value and being NULL; everything else raises SearchRefused."""

    __slots__ = ()

    def operate(self, op: operators.OperatorType, *other: Any, **kwargs: Any) -> ColumnElement[Any]:
        if op in _NULLNESS and (other[0] is None or isinstance(other[0], Null)):
            return super().operate(op, *other, **kwargs)
        if op in {operators.eq, operators.ne} and isinstance(as_clause(other[0]), ColumnClause):
            return ComparedColumns(self.expr, as_clause(other[0]), op, Boolean())
        if op is operators.eq:
            return _found_by(self.expr, other)
        if op is operators.in_op:
            return _found_by(self.expr, _listed(other[0]))
        raise _refused(self.expr, f"the operator {op.__name__}")

    def reverse_operate(self, op: operators.OperatorType, other: Any, **kwargs: Any) -> ColumnElement[Any]:
        _ = other, kwargs
        raise _refused(self.expr, f"the operator {op.__name__}")


class ComparedColumns(BinaryExpression[bool]):
    """Two columns compared. Lists of columns are searched by `==`, so it is refused not before it becomes SQL."""

    inherit_cache = True


@compiles(ComparedColumns)
def _refuse_compared(element: ComparedColumns, compiler: object, **options: Any) -> str:
    _ = compiler, options
    raise _refused(element.left, "a comparison with another column")


def _found_by(column: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[Any]:
    index = index_beside(column)
    cipher, place = FieldCipher(bound_tenant()), place_of(_base(column))
    found: list[Index] = []
    for value in values:
        if value is None or isinstance(as_clause(value), ClauseElement | Ciphertext | Pending):
            raise _refused(column, f"a comparison with a {type(value).__name__}")
        found.extend(map(Index, cipher.blind_indexes(*place, value)))
    # One live generation is the rule, and an expanding IN costs SQLAlchemy a rendering each time.
    return index == found[0] if len(found) == 1 else index.in_(found)


def index_beside(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The index column in the table, alias or subquery that *column* is of. Raises SearchRefused."""
    base = _base(column)
    if not getattr(base.type, "searchable", False):
        raise _refused(column, "a search, for it has no index")
    siblings = getattr(getattr(column, "table", None), "c", {})
    try:
        return siblings[f"{base.key}_index"]
    except KeyError:
        raise _refused(column, "a search where its index column is not selected beside it") from None


def _base(column: ColumnElement[Any]) -> Column[Any]:
    """The table's column below aliases and subqueries."""
    bases = [base for base in column.base_columns if isinstance(base, Column)]
    if len(bases) != 1:
        raise _refused(column, "a search in what is more than one column")
    return bases[0]


def _listed(values: Any) -> Iterable[Any]:
    return [values] if isinstance(as_clause(values), ClauseElement | str | bytes) else values


def as_clause(value: Any) -> Any:
    """The SQL expression behind a mapped attribute; anything else as it is."""
    return value.__clause_element__() if hasattr(value, "__clause_element__") else value


def _refused(column: ColumnElement[Any], what: str) -> SearchRefused:
    return SearchRefused(
        f"the encrypted column {getattr(column, 'name', '')!r} does not allow {what}",
        hint="declared searchable, it can be compared by == and in_ with values; encrypted or not, by is_(None); "
        "sort, and search by anything else, after decryption, or in a column that is not encrypted",
    )
