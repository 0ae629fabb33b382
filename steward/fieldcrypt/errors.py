"""What can be wrong with a value, a ciphertext or a tenant's keys. No message here tells anything of a plaintext."""

from __future__ import annotations

from steward.errors import BadInput, StewardError, Unavailable


class FieldCryptError(StewardError):
    """A field could not be encrypted or decrypted; nothing was written."""


class CiphertextRefused(FieldCryptError):
    """These bytes are not what this place of this tenant was given. Nothing of the plaintext is known or told."""


class CiphertextTruncated(CiphertextRefused):
    """Shorter than the smallest ciphertext of its format."""


class CiphertextOverlong(CiphertextRefused):
    """Longer than any ciphertext that this release writes."""


class UnknownSuite(CiphertextRefused):
    """A version, suite or kind of value that this release does not know: never guessed at, never tried."""


class CiphertextForeign(CiphertextRefused):
    """Its key id is none of this tenant's: it was made for another tenant, or the id is damaged."""


class CiphertextMoved(CiphertextRefused):
    """A key of this tenant, and yet made for another table, field or row; a damaged header looks the same."""


class CiphertextTampered(CiphertextRefused):
    """It belongs here, and its bytes are not those that were written."""


class CiphertextMalformed(CiphertextRefused):
    """Authentic, and yet no value of the kind it names: a program with this tenant's keys broke the format."""


class KeyRetired(CiphertextRefused):
    """Its key generation is disabled. The key still exists: until it is destroyed, a rotator can enable it again."""


class KeyDestroyed(CiphertextRefused):
    """Its key generation was destroyed: nobody can decrypt it any more."""


class TenantUnknown(FieldCryptError, BadInput):
    """The keyring has no such tenant."""


class TenantErased(FieldCryptError):
    """The tenant's keys were destroyed on purpose: nothing of it can be decrypted, here or from a backup."""


class TenantNotBound(FieldCryptError, BadInput):
    """An encrypted attribute was used where no tenant is bound."""


class KeysNotInstalled(FieldCryptError, BadInput):
    """This process was never told where tenants' keys come from."""


class KeysUnavailable(FieldCryptError, Unavailable):
    """The tenant's keys are not in memory, or too old to be used, and keyring or vault cannot be asked now."""

    #: How long until it is worth another try.
    retry_after_seconds: float = 1.0


class KeysRefused(FieldCryptError):
    """Keyring or vault answers, and refuses the tenant's keys: asking again changes nothing until somebody acts."""


class ImpossibleCachePolicy(FieldCryptError, BadInput):
    """A policy for tenants' keys that no cache can follow."""


class KeyringTampered(FieldCryptError):
    """A wrapped key does not belong to the tenant and generation whose row holds it."""


class NoWritingKey(FieldCryptError):
    """The tenant has no current generation: it can be read, not written."""


class ValueNotSupported(FieldCryptError, BadInput):
    """A value or a row id of a type that would not come back exactly as it went in."""


class ValueTooLarge(FieldCryptError, BadInput):
    """A value larger than one field may hold."""
