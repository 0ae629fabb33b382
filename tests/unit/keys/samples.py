"""A described table, and rows of it under keys that are known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from steward.fieldcrypt import FieldCipher
from steward.fieldcrypt.framing import RowId
from steward.fieldcrypt.keyring import State
from steward.fieldcrypt.keyset import KeySet
from steward.keys.columns import EncryptedTable
from steward.keys.moving import RowMover
from tests.unit.fieldcrypt.known_keys import KnownKeys, key_set

OLD, NEW = 7, 8
TABLE = EncryptedTable.model_validate(
    {
        "name": "people",
        "relation": "crm.people",
        "row_id": ["id"],
        "tenant": "tenant",
        "field": [{"column": "email", "index": "email_index"}, {"column": "notes", "field": "remarks"}],
    }
)


@dataclass(frozen=True)
class Row:
    row_id: RowId
    tenant: str
    sealed: tuple[bytes | None, ...]
    at: str = "(0,1)"

    def holding(self, at: int, value: bytes | None) -> Row:
        """The same with another value in its sealed column *at*."""
        sealed = list(self.sealed)
        sealed[at] = value
        return replace(self, sealed=tuple(sealed))


def before(tenant: str = "acme", key_id: int = OLD) -> KeySet:
    """The tenant's keys before the writers' switch."""
    return key_set(tenant, {key_id: State.CURRENT, key_id + 1: State.INCOMING})


def after(tenant: str = "acme", key_id: int = OLD) -> KeySet:
    """The same keys afterwards."""
    return key_set(tenant, {key_id: State.PREVIOUS, key_id + 1: State.CURRENT})


def row(keys: KeySet, row_id: RowId = 1, email: Any = "ada@example.net", notes: Any = "likes tea") -> Row:
    """As the application writes it with these keys."""
    cipher = FieldCipher(keys.tenant, KnownKeys(keys))
    return Row(
        row_id,
        keys.tenant,
        (
            cipher.encrypt("people", "email", row_id, email),
            cipher.blind_index("people", "email", email),
            cipher.encrypt("people", "remarks", row_id, notes),
        ),
    )


def mover(*sets: KeySet) -> RowMover:
    return RowMover(TABLE, {keys.tenant: keys for keys in sets})


def opened(keys: KeySet, at: Row) -> tuple[Any, Any]:
    """What the row says to the application."""
    cipher = FieldCipher(keys.tenant, KnownKeys(keys))
    return cipher.decrypt("people", "email", at.row_id, at.sealed[0]), cipher.decrypt(
        "people", "remarks", at.row_id, at.sealed[2]
    )


def damaged(value: bytes | None) -> bytes:
    """One bit of its last byte is another."""
    assert value is not None
    return value[:-1] + bytes([value[-1] ^ 1])
