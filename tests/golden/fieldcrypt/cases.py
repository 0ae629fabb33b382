"""The golden ciphertexts, read."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from steward.fieldcrypt import FieldCipher
from steward.fieldcrypt.keyring import State, WrappedGeneration
from steward.fieldcrypt.keyset import Generation, KeySet

FILES = sorted(Path(__file__).parent.glob("*.json"))
READERS: dict[str, Any] = {
    "str": str,
    "bytes": bytes.fromhex,
    "int": int,
    "Decimal": Decimal,
    "date": dt.date.fromisoformat,
    "UUID": UUID,
    "json": lambda value: value,
    "tuple": lambda parts: tuple(read(part) for part in parts),
}


def read(written: dict[str, Any]) -> Any:
    [(kind, value)] = written.items()
    return READERS[kind](value)


class Golden(NamedTuple):
    """One ciphertext, with all that is needed to open it."""

    tenant: str
    key_id: int
    master_key: bytes
    sealed_master_key: bytes
    table: str
    field: str
    row_id: Any
    value: Any
    ciphertext: bytes
    blind_index: bytes | None

    @property
    def place(self) -> tuple[str, str, Any]:
        return self.table, self.field, self.row_id

    def cipher(self) -> FieldCipher:
        return cipher_of(self.tenant, self.key_id, self.master_key)


class OneKey:
    """The keys of one tenant, who has one; nothing more is heard of when a ciphertext names another."""

    def __init__(self, keys: KeySet) -> None:
        self.keys = keys

    def of(self, tenant: str) -> KeySet:
        assert tenant == self.keys.tenant
        return self.keys

    def seek(self, tenant: str, key_id: int) -> KeySet:
        assert key_id not in self.keys.reading
        return self.of(tenant)


@cache
def cipher_of(tenant: str, key_id: int, master_key: bytes) -> FieldCipher:
    """The cipher of a tenant whose one key is *master_key*."""
    wrapped = WrappedGeneration(key_id, 1, State.CURRENT, dt.datetime(2026, 1, 1, tzinfo=dt.UTC), ())
    generation = Generation(tenant, wrapped, bytearray(master_key))
    return FieldCipher(tenant, OneKey(KeySet(tenant, 1, {key_id: generation}, {}, generation)))  # type: ignore[arg-type]


def cases(path: Path) -> list[Golden]:
    """All of one file."""
    return [_golden(case) for case in json.loads(path.read_text(encoding="ascii"))]


def _golden(case: dict[str, Any]) -> Golden:
    for name in ("master_key", "sealed_master_key", "ciphertext"):
        case[name] = bytes.fromhex(case[name])
    index = case.pop("blind_index")
    row_id, value = read(case.pop("row_id")), read(case.pop("value"))
    return Golden(**case, row_id=row_id, value=value, blind_index=index and bytes.fromhex(index))
