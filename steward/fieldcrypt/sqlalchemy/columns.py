"""The two columns of an encrypted attribute: its ciphertext, and where it is searched, the blind index beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from sqlalchemy import Dialect, LargeBinary
from sqlalchemy.orm import MappedColumn, mapped_column
from sqlalchemy.types import TypeDecorator

from steward.fieldcrypt.sqlalchemy.comparison import EncryptedComparator
from steward.fieldcrypt.sqlalchemy.errors import WriteRefused
from steward.fieldcrypt.sqlalchemy.stored import Ciphertext, Index, Sealed

INDEX_SUFFIX = "_index"


class _Guarded(TypeDecorator[bytes]):
    """Bytes to the database, of which only those of one class are written."""

    impl = LargeBinary
    cache_ok = True
    takes: type[bytes]
    expected: str

    def process_bind_param(self, value: Any, dialect: Dialect) -> bytes | None:
        """Raises WriteRefused."""
        _ = dialect
        if value is None:
            return None
        if type(value) is self.takes:
            return bytes(value)
        raise WriteRefused(
            f"a value of type {type(value).__name__} for an encrypted column, expected {self.expected}",
            hint="assign it to a mapped object and add that to the session; for statements and bulk writes, which "
            "bypass the mapper's events, make the values with steward.fieldcrypt.sqlalchemy.sealed(…)",
        )

    def literal_processor(self, dialect: Dialect) -> Callable[..., str]:
        """For SQL that is rendered for somebody's eyes, and that no database takes: SQLAlchemy renders no bytes.

        It raises nothing, for SQLAlchemy's error would quote what was not rendered.
        """
        _ = dialect
        return lambda value: f"<{type(value).__name__}>"


class Encrypted(_Guarded):
    """The type of a column of ciphertexts. It reads Ciphertext, and writes nothing but Sealed.

    *table* and *field* are the names that the ciphertexts are bound to, where they are not the column's own: give the
    old ones after a rename.
    """

    cache_ok = True
    takes, expected = Sealed, "a ciphertext made for this row"
    comparator_factory = EncryptedComparator  # pyright: ignore[reportAssignmentType]  a property there, a class here

    def __init__(self, *, searchable: bool = False, table: str | None = None, field: str | None = None) -> None:
        super().__init__()
        self.searchable, self.table, self.field = searchable, table, field

    def process_result_value(self, value: Any, dialect: Dialect) -> Ciphertext | None:
        """The ciphertext, which opens with its row's primary key: load the object, or use FieldCipher.decrypt."""
        _ = dialect
        return None if value is None else Ciphertext(value)


class BlindIndex(_Guarded):
    """The type of a column of blind indexes, which nobody writes but those who write the ciphertext beside it."""

    cache_ok = True
    takes, expected = Index, "a blind index made with its ciphertext"

    def compare_values(self, x: Any, y: Any) -> bool:
        """Never equal: SQLAlchemy would leave an unchanged index out of an update of its ciphertext."""
        _ = x, y
        return False


class EncryptedColumn(MappedColumn[Any]):
    """A mapped column that brings its index column along: `email` and `email_index`, on a class or a mixin."""

    __slots__ = ()

    def __set_name__(self, owner: type, name: str) -> None:
        """Before SQLAlchemy looks at the class, so that it sees two columns as if both had been declared."""
        if cast("Encrypted", self.column.type).searchable:
            column_name = f"{self.column.name or name}{INDEX_SUFFIX}"
            # Deferred: it is for the database to search by, and no reader wants it.
            setattr(owner, name + INDEX_SUFFIX, mapped_column(column_name, BlindIndex(), index=True, deferred=True))


def encrypted(
    name: str | None = None,
    *,
    searchable: bool = False,
    table: str | None = None,
    field: str | None = None,
    **options: Any,
) -> MappedColumn[Any]:
    """Declare an encrypted attribute. It takes what mapped_column takes.

        email: Mapped[str | None] = encrypted(searchable=True)

    *searchable* adds a column for equality searches, which tells whoever reads it
    which rows of a tenant are equal. *table* and *field*: see Encrypted.
    """
    column = mapped_column(Encrypted(searchable=searchable, table=table, field=field), name=name, **options)
    # mapped_column is a function with a score of keywords: this keeps them all, whatever they will be.
    column.__class__ = EncryptedColumn
    return column
