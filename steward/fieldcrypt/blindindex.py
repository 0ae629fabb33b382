"""Search by equality without decrypting: a keyed hash of the value beside the ciphertext.

20 bytes: `key id 4 ‖ HMAC-SHA256(blind key, kind 1 ‖ canonical value) 16`. The key id says which generation made it, so a
search asks for all that may be there, and a rotation sees what is left. An index tells whoever reads the column which
rows of one tenant are equal, and how often each value occurs: never index what has few values (a sex, a truth).
"""

from __future__ import annotations

from steward.fieldcrypt.keyset import FieldKey, Generation, KeySet
from steward.fieldcrypt.values import Value, canonical

LENGTH = 20
_TAG = 16


def stored(keys: KeySet, table: str, field: str, value: Value) -> bytes:
    """What a row stores: under the generation that writers use."""
    return _index(keys.writing, table, field, canonical(value))


def searched(keys: KeySet, table: str, field: str, value: Value) -> list[bytes]:
    """One index a readable generation, newest first: a writer elsewhere may be on the next one already."""
    wanted = canonical(value)
    newest_first = sorted(keys.reading.values(), key=lambda generation: generation.key_id, reverse=True)
    return [_index(generation, table, field, wanted) for generation in newest_first]


def made(key: FieldKey, canonical_value: bytes) -> bytes:
    """The index under blind key *key*."""
    return key.key_id + key.hmac(canonical_value)[:_TAG]


def _index(generation: Generation, table: str, field: str, canonical_value: bytes) -> bytes:
    return made(generation.field_key("blind", table, field), canonical_value)
