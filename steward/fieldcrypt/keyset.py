"""A tenant's keys in memory: one master key a generation, and what is derived from it for each field.

HKDF-SHA512 with info `framed("steward field key 1", purpose, tenant, key id 4, table, field)`; purposes `enc`, whose keys
are HMAC-SHA512's, and `blind`, HMAC-SHA256's. Master keys lie in byte arrays that are wiped when the last user has let go
of them, never before: a key wiped under a writer's hands would derive from zeros. Field keys lie in OpenSSL's memory,
which it wipes itself. Python copies what it likes; this is tidiness, not a promise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn, Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from steward.fieldcrypt.errors import NoWritingKey, ValueNotSupported
from steward.fieldcrypt.framing import framed
from steward.fieldcrypt.keyring import State, WrappedGeneration

KEY_LENGTH = 32
_HASHES: Mapping[str, hashes.HashAlgorithm] = {"enc": hashes.SHA512(), "blind": hashes.SHA256()}


class _Secret:
    """Holds a key: not shown, not pickled, not copied."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} holds a key and is not pickled or copied")


class FieldKey(_Secret):
    """The key of one purpose for one field under one generation, and the frame that all its rows share."""

    __slots__ = ("_keyed", "key_id", "place")

    def __init__(self, keyed: HMAC, key_id: bytes, place: bytes) -> None:
        # It has taken the key in: copying it costs less than half of what laying the key anew would.
        self._keyed = keyed
        self.key_id = key_id
        self.place = place
        """`framed(tenant, table, field)`"""

    def hmac(self, message: bytes) -> bytes:
        """HMAC of *message* under this key: 64 bytes for `enc`, 32 for `blind`. From any thread."""
        one = self._keyed.copy()
        one.update(message)
        return one.finalize()


class Generation(_Secret):
    """One generation of a tenant's master key. Field keys are derived when first asked for, and kept."""

    __slots__ = ("_fields", "key", "key_id", "tenant", "wrapped")

    def __init__(self, tenant: str, wrapped: WrappedGeneration, master_key: bytearray) -> None:
        self.key = master_key
        self.tenant, self.wrapped, self.key_id = tenant, wrapped, wrapped.key_id
        self._fields: dict[tuple[str, str, str], FieldKey] = {}

    def __del__(self) -> None:
        self.key[:] = bytes(len(self.key))

    def field_key(self, purpose: str, table: str, field: str) -> FieldKey:
        """The key for *purpose* (`enc`, `blind`) of one field; two threads that ask at once derive the same."""
        name = (purpose, table, field)
        try:
            return self._fields[name]
        except KeyError:
            return self._fields.setdefault(name, self._derive(purpose, table, field))

    def _derive(self, purpose: str, table: str, field: str) -> FieldKey:
        tenant, key_id = _encoded(self.tenant), self.key_id.to_bytes(4, "big")
        table_and_field = _encoded(table), _encoded(field)
        info = framed(b"steward field key 1", purpose.encode("ascii"), tenant, key_id, *table_and_field)
        derived = bytearray(KEY_LENGTH)
        HKDF(hashes.SHA512(), KEY_LENGTH, salt=None, info=info).derive_into(self.key, derived)
        keyed = HMAC(derived, _HASHES[purpose])
        derived[:] = bytes(KEY_LENGTH)
        return FieldKey(keyed, key_id, framed(tenant, *table_and_field))

    def __repr__(self) -> str:
        wrapped = self.wrapped
        return f"<Generation {wrapped.number} of {self.tenant!r}, key id {self.key_id}, {wrapped.state}>"


@dataclass(frozen=True, slots=True)
class KeySet:
    """All of a tenant's keys at one epoch of the keyring."""

    tenant: str
    epoch: int
    reading: Mapping[int, Generation]
    """By key id: every generation that is incoming, current or previous."""
    closed: Mapping[int, State]
    """Key ids that are retired or destroyed."""
    current: Generation | None

    @property
    def newest_id(self) -> int:
        """The greatest key id that is known of the tenant, 0 where there is none."""
        return max((*self.reading, *self.closed), default=0)

    @property
    def writing(self) -> Generation:
        """The generation that writers use. Raises NoWritingKey."""
        if self.current is None:
            raise NoWritingKey(
                f"tenant {self.tenant!r} has no current key generation",
                hint="a rotator has to make one current; what was written before can be read",
            )
        return self.current


class Keys(Protocol):
    """Where a cipher gets a tenant's keys from: TenantKeys. All raise TenantUnknown, TenantErased, KeysUnavailable."""

    def of(self, tenant: str) -> KeySet:
        """At once where they are in memory."""
        ...

    def seek(self, tenant: str, key_id: int) -> KeySet:
        """After asking the keyring anew, if that may help: a ciphertext names *key_id*, which nobody here knows."""
        ...

    async def ready(self, tenant: str) -> KeySet:
        """As `of`, without holding up an event loop."""
        ...

    async def sought(self, tenant: str, key_id: int) -> KeySet:
        """As `seek`, without holding up an event loop."""
        ...


def _encoded(name: object) -> bytes:
    if not isinstance(name, str):
        raise ValueNotSupported(
            f"a name of type {type(name).__name__}, expected str", hint="name tenant, table and field by their names"
        )
    return name.encode("utf-8", "surrogatepass")
