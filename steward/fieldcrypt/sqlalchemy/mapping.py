"""What makes an attribute of a mapped class decrypt when it is read and remember when it is assigned.

SQLAlchemy calls `_equip` for every mapper; it finds encrypted columns by their type, however they were declared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import Column, event
from sqlalchemy.orm import InstanceState, InstrumentedAttribute, Mapper
from sqlalchemy.orm.attributes import instance_state
from sqlalchemy.sql import ClauseElement

from steward.fieldcrypt.cipher import FieldCipher
from steward.fieldcrypt.errors import FieldCryptError
from steward.fieldcrypt.framing import RowId
from steward.fieldcrypt.process import bound_tenant
from steward.fieldcrypt.sqlalchemy.columns import INDEX_SUFFIX, Encrypted
from steward.fieldcrypt.sqlalchemy.comparison import Place, as_clause, place_of
from steward.fieldcrypt.sqlalchemy.errors import MappingRefused, WriteRefused
from steward.fieldcrypt.sqlalchemy.stored import Ciphertext, Index, Pending, Sealed
from steward.fieldcrypt.values import Value


@dataclass(frozen=True, slots=True)
class Field:
    """One encrypted attribute of a mapped class."""

    key: str
    place: Place
    column: Column[Any]
    index_key: str | None

    def opened(self, stored: Ciphertext, row_id: RowId) -> Value | None:
        """The value that *stored* holds. Raises as FieldCipher.decrypt, and TenantNotBound."""
        try:
            return FieldCipher(bound_tenant()).decrypt(*self.place, row_id, stored)
        except FieldCryptError as error:
            error.add_note(f"reading {self}")
            raise

    def sealed(self, value: Value, row_id: RowId) -> tuple[Sealed, Index | None]:
        """Ciphertext and, if it is searched, index of *value*. Raises as FieldCipher.encrypt, and TenantNotBound."""
        cipher = FieldCipher(bound_tenant())
        try:
            index = Index(cipher.blind_index(*self.place, value) or b"") if self.index_key else None
            return Sealed(cipher.encrypt(*self.place, row_id, value) or b""), index
        except FieldCryptError as error:
            error.add_note(f"writing {self}")
            raise

    def __str__(self) -> str:
        return ".".join(self.place)


class EncryptedAttribute(InstrumentedAttribute[Any]):  # pyright: ignore[reportIncompatibleVariableOverride]  __doc__
    """An attribute that decrypts each time it is read, and keeps no plaintext once it is flushed."""

    __slots__ = ()
    inherit_cache = True
    field: ClassVar[Field]

    def __get__(self, instance: object | None, owner: Any) -> Any:
        if instance is None:
            return self
        stored = instance.__dict__.get(self.key)
        if stored is None:
            # NULL, or not loaded.
            stored = super().__get__(instance, owner)
            if stored is None:
                return None
        if isinstance(stored, Pending):
            return stored.plaintext
        return self.field.opened(stored, row_id_of(instance_state(instance)))


def row_id_of(state: InstanceState[Any]) -> RowId:
    """The primary key that an object's ciphertexts are bound to: of the row it is stored as, or will be."""
    identity = state.key[1] if state.key else state.mapper.primary_key_from_instance(state.obj())
    return identity[0] if len(identity) == 1 else tuple(identity)


def fields_of(mapper: Mapper[Any]) -> list[Field]:
    """The encrypted attributes of *mapper*, inherited ones too. Raises MappingRefused."""
    found: list[Field] = []
    for attribute in mapper.column_attrs:
        column = attribute.columns[0]
        if isinstance(column, Column) and isinstance(column.type, Encrypted):
            _check(column)
            index_key = _index_key(mapper, column) if column.type.searchable else None
            found.append(Field(attribute.key, place_of(column), column, index_key))
    return found


def _index_key(mapper: Mapper[Any], column: Column[Any]) -> str:
    index = column.table.c.get(f"{column.key}{INDEX_SUFFIX}")
    if index is None or not mapper.columns.contains_column(index):
        raise MappingRefused(
            f"the searchable column {column} has no mapped column {column.key}{INDEX_SUFFIX} beside it",
            hint="declare it with `encrypted(searchable=True)` in the class's or mixin's body, or add both columns, "
            "types Encrypted(searchable=True) and BlindIndex(), to the table",
        )
    return mapper.get_property_by_column(index).key


def _check(column: Column[Any]) -> None:
    if column.primary_key or column.foreign_keys or column.server_default or column.onupdate:
        raise MappingRefused(
            f"the encrypted column {column} is a key, or gets its value from the database or from onupdate",
            hint="only values that the application assigns, or a `default=` in Python, can be encrypted",
        )


def wrapped(target: object, value: Any, *initiator: object) -> Any:
    """What an assignment leaves in the object's state: after the application's own validators have seen the value."""
    _ = target, initiator
    if value is None or isinstance(value, Pending | Ciphertext):
        return value
    if isinstance(as_clause(value), ClauseElement):
        raise WriteRefused(
            "a SQL expression was assigned to an encrypted attribute, expected a value",
            hint="the database has no keys: compute the value in Python",
        )
    return Pending(value)


def decrypting(attribute: InstrumentedAttribute[Any], field: Field) -> None:
    """Let *attribute* decrypt: it stays the object that SQLAlchemy knows, of a class that reads differently."""
    attribute.__class__ = type("EncryptedAttribute", (EncryptedAttribute,), {"__slots__": (), "field": field})
    event.listen(attribute, "set", wrapped, retval=True)
