"""Ciphertexts moved to the generation that writers use, and their blind indexes with them.

Values pass through as the bytes that they are: nothing is decoded that the application might read otherwise.
"""

from __future__ import annotations

from typing import NamedTuple

from steward.fieldcrypt import blindindex, envelope
from steward.fieldcrypt.cipher import Ciphertext, generation_of
from steward.fieldcrypt.keyset import FieldKey, KeySet
from steward.fieldcrypt.values import canonical, decode

# Their encoded form is canonical as it is.
_BYTES_AND_TEXT = (0, 1)


class Opened(NamedTuple):
    """A ciphertext's authentic content."""

    key_id: int
    kind: int
    plaintext: bytes

    def canonical(self) -> bytes:
        """What a blind index of it is made of. ValueNotSupported for what has none."""
        if self.kind in _BYTES_AND_TEXT:
            return bytes([self.kind]) + self.plaintext
        return canonical(decode(self.kind, self.plaintext))


class FieldMover:
    """One field of one tenant. Rows are framed (framing.framed_row); all raise CiphertextRefused and its kinds."""

    __slots__ = ("_keys", "_opening", "_place", "_writing", "_writing_index", "current_id")

    def __init__(self, keys: KeySet, table: str, field: str) -> None:
        self._keys, self._place = keys, (table, field)
        self._opening: dict[int, FieldKey] = {}
        self._writing = keys.writing.field_key("enc", table, field)
        self._writing_index = keys.writing.field_key("blind", table, field)
        self.current_id = keys.writing.key_id

    def open(self, row: bytes, ciphertext: Ciphertext) -> Opened:
        """What *ciphertext* holds."""
        kind, key_id, sealed = envelope.read(ciphertext)
        key = self._opening.get(key_id) or self._opening_key(key_id)
        return Opened(key_id, kind, envelope.open_sealed(key, row, sealed))

    def seal(self, row: bytes, opened: Opened) -> bytes:
        """The same content under the generation that writers use."""
        return envelope.seal(self._writing, row, opened.kind, opened.plaintext)

    def index(self, opened: Opened) -> bytes:
        """Its blind index under that generation."""
        return blindindex.made(self._writing_index, opened.canonical())

    def _opening_key(self, key_id: int) -> FieldKey:
        key = generation_of(self._keys, key_id).field_key("enc", *self._place)
        return self._opening.setdefault(key_id, key)
