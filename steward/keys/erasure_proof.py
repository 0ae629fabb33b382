"""Whether rows open: those of others all, those of the erased none, whatever key that is left is tried."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from steward.fieldcrypt import envelope
from steward.fieldcrypt.cipher import FieldCipher
from steward.fieldcrypt.errors import (
    CiphertextMalformed,
    CiphertextOverlong,
    CiphertextRefused,
    CiphertextTruncated,
    TenantErased,
    TenantUnknown,
    UnknownSuite,
)
from steward.fieldcrypt.framing import RowId, framed_row
from steward.fieldcrypt.keyset import Generation, Keys
from steward.keys.columns import EncryptedTable

#: Values of the erased tenant that every key that is left is tried on: two hundred keys take 0.1 s for these.
TRIED_WITH_ALL = 20
#: Failures that are named; further ones are counted.
_NAMED = 20

_NO_CIPHERTEXT = (UnknownSuite, CiphertextTruncated, CiphertextOverlong)


class Row(Protocol):
    """One row as an application's database has it."""

    @property
    def row_id(self) -> RowId:
        """Its primary key."""
        ...

    @property
    def tenant(self) -> str:
        """Whose it is."""
        ...

    @property
    def sealed(self) -> Sequence[bytes | None]:
        """In the order of EncryptedTable.sealed_columns."""
        ...


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Tried(_Frozen):
    """What became of an attempt to decrypt rows of one table. No row is named, only a digest of where it is."""

    application: str
    table: str
    rows: int = 0
    values: int = 0
    opened: int = 0
    refused: dict[str, int] = {}
    """By the name of the refusal."""
    failed: tuple[str, ...] = ()
    """Digests of the first places that did not open."""


class Shredded(_Frozen):
    """What became of every value of an erased tenant in one table."""

    application: str
    table: str
    rows: int = 0
    values: int = 0
    opened: int = 0
    in_clear: int = 0
    """No ciphertexts: whatever these bytes are, no erased key protects them."""
    strange_keys: int = 0
    """Under a key that was not the tenant's."""
    tries: int = 0
    """Attempts with keys that are left."""


def try_rows(keys: Keys, application: str, table: EncryptedTable, rows: Iterable[Row]) -> Tried:
    """Decrypt all fields of *rows*, each with its own tenant's keys. KeysUnavailable where these cannot be had."""
    counted, refused, failed = Counter[str](), Counter[str](), list[str]()
    for row in rows:
        counted["rows"] += 1
        cipher = FieldCipher(row.tenant, keys)
        for field, ciphertext in _values(table, row):
            counted["values"] += 1
            if refusal := _refusal(cipher, table, field, row, ciphertext):
                refused[refusal] += 1
                failed.append(place_digest(application, table.name, field, row.row_id))
            else:
                counted["opened"] += 1
    return Tried(
        application=application,
        table=table.name,
        **counted,
        refused=dict(refused),
        failed=tuple(failed[:_NAMED]),
    )


def try_erased(
    keys: Keys,
    application: str,
    table: EncryptedTable,
    rows: Iterable[Row],
    *,
    erased_ids: Collection[int],
    left: Sequence[Generation],
) -> Shredded:
    """Try to decrypt all fields of an erased tenant's *rows*: with what the keyring gives, and some with all of *left*."""
    counted: Counter[str] = Counter()
    for row in rows:
        counted["rows"] += 1
        cipher = FieldCipher(row.tenant, keys)
        for field, ciphertext in _values(table, row):
            counted["values"] += 1
            try:
                _, key_id, _ = envelope.read(ciphertext)
            except _NO_CIPHERTEXT:
                counted["in_clear"] += 1
                continue
            counted["strange_keys"] += key_id not in erased_ids
            opened = _refusal(cipher, table, field, row, ciphertext) is None
            if counted["tried"] < TRIED_WITH_ALL:
                counted["tried"] += 1
                counted["tries"] += len(left)
                opened = opened or _opens_with_any(left, table, field, row, ciphertext)
            counted["opened"] += opened
    del counted["tried"]
    return Shredded(application=application, table=table.name, **counted)


def place_digest(application: str, table: str, field: str, row_id: RowId) -> str:
    """Names a value in two samples without telling whose row it is."""
    place = f"{application}\0{table}\0{field}\0".encode() + framed_row(row_id)
    return hashlib.sha256(place).hexdigest()[:16]


def _values(table: EncryptedTable, row: Row) -> Iterator[tuple[str, bytes]]:
    held = dict(zip(table.sealed_columns, row.sealed, strict=True))
    for field in table.fields:
        if (ciphertext := held[field.column]) is not None:
            yield field.bound_as, ciphertext


def _refusal(cipher: FieldCipher, table: EncryptedTable, field: str, row: Row, ciphertext: bytes) -> str | None:
    """The name of what refuses it; None: it opens. What is authentic and no value opens too."""
    try:
        cipher.decrypt(table.name, field, row.row_id, ciphertext)
    except CiphertextMalformed:
        return None
    except (CiphertextRefused, TenantErased, TenantUnknown) as error:
        return type(error).__name__
    return None


def _opens_with_any(left: Sequence[Generation], table: EncryptedTable, field: str, row: Row, ciphertext: bytes) -> bool:
    """As somebody would who has every key that is left, and takes each for the one that the ciphertext names."""
    _, key_id, sealed = envelope.read(ciphertext)
    place = framed_row(row.row_id)
    for generation in left:
        # A copy of the key: each is wiped with its own generation.
        posing = Generation(row.tenant, replace(generation.wrapped, key_id=key_id), bytearray(generation.key))
        try:
            envelope.open_sealed(posing.field_key("enc", table.name, field), place, sealed)
        except CiphertextRefused:
            continue
        return True
    return False
