"""Encrypt and decrypt one tenant's fields: `FieldCipher("acme").encrypt("customers", "email", row_id, value)`."""

from __future__ import annotations

from steward.fieldcrypt import blindindex, envelope
from steward.fieldcrypt.errors import CiphertextForeign, CiphertextRefused, KeyDestroyed, KeyRetired
from steward.fieldcrypt.framing import RowId, framed_row
from steward.fieldcrypt.keyring import State
from steward.fieldcrypt.keyset import Generation, Keys, KeySet
from steward.fieldcrypt.process import installed
from steward.fieldcrypt.values import Value, decode, encode

Ciphertext = bytes | bytearray | memoryview
"""What drivers return for a column of bytes."""


class FieldCipher:
    """One tenant's fields. Cheap to make; safe to share between threads.

    With the tenant's keys in memory a call takes microseconds and asks nobody. It waits for keyring and vault where the
    tenant is cold, and raises KeysUnavailable where they cannot be asked, TenantUnknown and TenantErased.
    """

    __slots__ = ("_keys", "tenant")

    def __init__(self, tenant: str, keys: Keys | None = None) -> None:
        self.tenant = tenant
        self._keys = installed() if keys is None else keys

    def encrypt(self, table: str, field: str, row_id: RowId, value: Value | None) -> bytes | None:
        """The ciphertext of *value* for this place alone; None stays None. ValueNotSupported, ValueTooLarge."""
        return None if value is None else encrypt(self._keys.of(self.tenant), table, field, row_id, value)

    def decrypt(self, table: str, field: str, row_id: RowId, ciphertext: Ciphertext | None) -> Value | None:
        """The value that was encrypted here, of the same type; None stays None. A CiphertextRefused says why not."""
        if ciphertext is None:
            return None
        kind, key_id, sealed = envelope.read(ciphertext)
        keys = self._keys.of(self.tenant)
        if key_id not in keys.reading and key_id not in keys.closed:
            # A generation that this process has not heard of yet, or none of this tenant's.
            keys = self._keys.seek(self.tenant, key_id)
        key = generation_of(keys, key_id).field_key("enc", table, field)
        return decode(kind, envelope.open_sealed(key, framed_row(row_id), sealed))

    def blind_index(self, table: str, field: str, value: Value | None) -> bytes | None:
        """20 bytes by which a row is found again by equality; None stays None. It tells which rows are equal."""
        return None if value is None else blindindex.stored(self._keys.of(self.tenant), table, field, value)

    def blind_indexes(self, table: str, field: str, value: Value) -> list[bytes]:
        """Every index that a row of *value* may have now, one a generation: search with `IN`."""
        return blindindex.searched(self._keys.of(self.tenant), table, field, value)


class AsyncFieldCipher:
    """FieldCipher for an event loop: a cold tenant's keys are awaited, everything else is done at once."""

    __slots__ = ("_keys", "tenant")

    def __init__(self, tenant: str, keys: Keys | None = None) -> None:
        self.tenant = tenant
        self._keys = installed() if keys is None else keys

    async def encrypt(self, table: str, field: str, row_id: RowId, value: Value | None) -> bytes | None:
        """As FieldCipher.encrypt."""
        return None if value is None else encrypt(await self._keys.ready(self.tenant), table, field, row_id, value)

    async def decrypt(self, table: str, field: str, row_id: RowId, ciphertext: Ciphertext | None) -> Value | None:
        """As FieldCipher.decrypt."""
        if ciphertext is None:
            return None
        kind, key_id, sealed = envelope.read(ciphertext)
        keys = await self._keys.ready(self.tenant)
        if key_id not in keys.reading and key_id not in keys.closed:
            keys = await self._keys.sought(self.tenant, key_id)
        key = generation_of(keys, key_id).field_key("enc", table, field)
        return decode(kind, envelope.open_sealed(key, framed_row(row_id), sealed))

    async def blind_index(self, table: str, field: str, value: Value | None) -> bytes | None:
        """As FieldCipher.blind_index."""
        return None if value is None else blindindex.stored(await self._keys.ready(self.tenant), table, field, value)

    async def blind_indexes(self, table: str, field: str, value: Value) -> list[bytes]:
        """As FieldCipher.blind_indexes."""
        return blindindex.searched(await self._keys.ready(self.tenant), table, field, value)


def encrypt(keys: KeySet, table: str, field: str, row_id: RowId, value: Value) -> bytes:
    """As FieldCipher.encrypt, with *keys* in hand."""
    kind, plaintext = encode(value)
    return envelope.seal(keys.writing.field_key("enc", table, field), framed_row(row_id), kind, plaintext)


def key_id(ciphertext: Ciphertext) -> int:
    """The key generation that *ciphertext* names: what a rotation looks for. UnknownSuite, CiphertextTruncated."""
    return envelope.read(ciphertext)[1]


def generation_of(keys: KeySet, key_id: int) -> Generation:
    """The readable generation *key_id*. KeyRetired, KeyDestroyed, CiphertextForeign."""
    generation = keys.reading.get(key_id)
    if generation is None:
        raise _closed(keys, key_id)
    return generation


def _closed(keys: KeySet, key_id: int) -> CiphertextRefused:
    state = keys.closed.get(key_id)
    if state is State.RETIRED:
        return KeyRetired(
            f"the ciphertext is under key {key_id} of tenant {keys.tenant!r}, which is retired",
            hint="a rotation missed it: let a rotator take the generation back before it is destroyed",
        )
    if state is State.DESTROYED:
        return KeyDestroyed(
            f"the ciphertext is under key {key_id} of tenant {keys.tenant!r}, which was destroyed",
            hint="it cannot be decrypted; a newer backup may hold the value under a newer key",
        )
    return CiphertextForeign(
        f"the ciphertext names key {key_id}, which is none of tenant {keys.tenant!r}",
        hint="it is another tenant's, or damaged: compare the row's tenant with the bound one",
    )
