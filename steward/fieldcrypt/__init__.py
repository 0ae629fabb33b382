"""Field-level encryption for applications: each tenant under keys of its own below a Key Vault, in microseconds.

    install(open_tenant_keys(...))                      # once a process; steward.clients.tenantkeys
    cipher = FieldCipher("acme")
    stored = cipher.encrypt("customers", "email", row_id, "ada@example.net")
    cipher.decrypt("customers", "email", row_id, stored)

A ciphertext opens only for the tenant, table, field and row it was made for. docs/fieldcrypt.md has the format, the
guarantees and what is not promised.
"""

from steward.fieldcrypt.cipher import AsyncFieldCipher, FieldCipher, key_id
from steward.fieldcrypt.framing import RowId
from steward.fieldcrypt.process import bound, bound_tenant, install
from steward.fieldcrypt.values import Value

__all__ = [
    "AsyncFieldCipher",
    "FieldCipher",
    "RowId",
    "Value",
    "bound",
    "bound_tenant",
    "install",
    "key_id",
]
