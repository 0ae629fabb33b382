"""One row moved to its tenant's current keys: every field, and every blind index made anew from what was decrypted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from steward.fieldcrypt.errors import FieldCryptError
from steward.fieldcrypt.framing import RowId, framed_row
from steward.fieldcrypt.keyset import KeySet
from steward.fieldcrypt.reencryption import FieldMover, Opened
from steward.keys.columns import EncryptedTable

Sealed = tuple[bytes | None, ...]
"""Ciphertexts and blind indexes, in the order of EncryptedTable.sealed_columns."""


class Row(Protocol):
    """What is read of a row."""

    @property
    def row_id(self) -> RowId:
        """Its primary key."""
        ...

    @property
    def tenant(self) -> str:
        """Whose it is."""
        ...

    @property
    def sealed(self) -> Sealed:
        """What is encrypted in it."""
        ...


@dataclass(frozen=True, slots=True)
class Damaged:
    """A value that does not decrypt, or an index that is not its value's. It is left as it is."""

    table: str
    row_id: str
    tenant: str
    column: str
    fault: str
    """The error's name."""

    def __str__(self) -> str:
        return f"{self.table} row {self.row_id} of tenant {self.tenant}: {self.column} is damaged ({self.fault})"


class Checked(NamedTuple):
    """What a row holds, field by field; None where a field is NULL."""

    opened: tuple[Opened | None, ...]
    below: bool
    """Something in it is under another generation than the current."""
    damaged: list[Damaged]


class RowMover:
    """For one table. KeySets of tenants by name; a tenant that is not among them has no keys."""

    def __init__(self, table: EncryptedTable, keys: Mapping[str, KeySet]) -> None:
        self._table, self._keys = table, keys
        self._movers: dict[str, list[FieldMover]] = {}
        # Each field's columns by their place among the sealed ones.
        self._places: list[tuple[int, int | None]] = []
        at = 0
        for field in table.fields:
            self._places.append((at, at + 1 if field.index else None))
            at += 2 if field.index else 1

    def key_ids(self, row: Row) -> set[bytes]:
        """Which key ids its values name."""
        ids = set[bytes]()
        for at, index_at in self._places:
            if (ciphertext := row.sealed[at]) is not None:
                ids.add(ciphertext[2:6])
            if index_at is not None and (index := row.sealed[index_at]) is not None:
                ids.add(index[:4])
        return ids

    def moved(self, row: Row) -> tuple[Sealed, list[Damaged]]:
        """What the row's columns become: under current keys, what is damaged as it was."""
        movers = self._movers.get(row.tenant) or self._movers_of(row.tenant)
        if movers is None:
            return row.sealed, [self._damaged(row, self._table.tenant, "TenantUnknown")]
        framed, sealed, damaged = framed_row(row.row_id), list(row.sealed), []
        for number, (at, index_at) in enumerate(self._places):
            ciphertext = row.sealed[at]
            if ciphertext is None:
                continue
            mover = movers[number]
            try:
                opened = mover.open(framed, ciphertext)
                if opened.key_id != mover.current_id:
                    sealed[at] = mover.seal(framed, opened)
                if index_at is not None:
                    sealed[index_at] = mover.index(opened)
            except FieldCryptError as error:
                damaged.append(self._damaged(row, self._table.fields[number].column, type(error).__name__))
        return tuple(sealed), damaged

    def checked(self, row: Row) -> Checked:
        """Whether every field decrypts, is under the current keys, and has the blind index of its value."""
        movers = self._movers.get(row.tenant) or self._movers_of(row.tenant)
        if movers is None:
            return Checked((), below=False, damaged=[self._damaged(row, self._table.tenant, "TenantUnknown")])
        framed, below = framed_row(row.row_id), False
        opened: list[Opened | None] = []
        damaged: list[Damaged] = []
        for number, (at, index_at) in enumerate(self._places):
            ciphertext, mover = row.sealed[at], movers[number]
            try:
                value = None if ciphertext is None else mover.open(framed, ciphertext)
                if value is not None and value.key_id != mover.current_id:
                    below = True
                elif index_at is not None and not _is_index(mover, value, row.sealed[index_at]):
                    damaged.append(self._damaged(row, str(self._table.fields[number].index), "IndexOfAnotherValue"))
            except FieldCryptError as error:
                value = None
                damaged.append(self._damaged(row, self._table.fields[number].column, type(error).__name__))
            opened.append(value)
        return Checked(tuple(opened), below, damaged)

    def _movers_of(self, tenant: str) -> list[FieldMover] | None:
        keys = self._keys.get(tenant)
        if keys is None:
            return None
        movers = [FieldMover(keys, self._table.name, field.bound_as) for field in self._table.fields]
        return self._movers.setdefault(tenant, movers)

    def _damaged(self, row: Row, column: str, fault: str) -> Damaged:
        return Damaged(self._table.where, str(row.row_id), row.tenant, column, fault)


def _is_index(mover: FieldMover, value: Opened | None, index: bytes | None) -> bool:
    if value is None or index is None:
        return value is None and index is None
    return mover.index(value) == index
