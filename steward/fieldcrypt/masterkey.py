"""A tenant's master key as it is wrapped: with a digest of whose it is.

The vault's RSA-OAEP wraps 64 bytes: `key 32 ‖ SHA-256(framed("steward tenant key 1", tenant, key id 4)) 32`. RSA-OAEP
has no associated data, so without the digest a row's wrapped key could be put in another tenant's place unnoticed. It
does not stop whoever may write the keyring from inventing a key: the database's roles do.
"""

from __future__ import annotations

import hashlib
import hmac
import os

from steward.fieldcrypt.errors import KeyringTampered
from steward.fieldcrypt.framing import framed

LENGTH = 32


def new() -> bytes:
    """A master key nobody has seen, from the operating system's generator."""
    return os.urandom(LENGTH)


def seal(tenant: str, key_id: int, master_key: bytes) -> bytes:
    """What the vault wraps for generation *key_id* of *tenant*."""
    if len(master_key) != LENGTH:
        raise ValueError(f"a master key of {len(master_key)} bytes, expected {LENGTH}")
    return master_key + _owner(tenant, key_id)


def open_sealed(tenant: str, key_id: int, payload: bytes) -> bytearray:
    """The master key in *payload*, which the vault unwrapped. KeyringTampered where it is another's."""
    if len(payload) != 2 * LENGTH or not hmac.compare_digest(payload[LENGTH:], _owner(tenant, key_id)):
        raise KeyringTampered(
            f"the wrapped key in generation {key_id} of tenant {tenant!r} was made for another tenant or generation",
            hint="somebody moved rows of the keyring: restore it from its backup, and find out who may write there",
        )
    return bytearray(payload[:LENGTH])


def _owner(tenant: str, key_id: int) -> bytes:
    named = framed(b"steward tenant key 1", tenant.encode("utf-8", "surrogatepass"), key_id.to_bytes(4, "big"))
    return hashlib.sha256(named).digest()
