"""What SQLAlchemy would do to an encrypted column, and must not. No message here tells anything of a plaintext.

All pass through SQLAlchemy as they are: wrapped into its StatementError, they would be printed with the statement's
parameters, of which one may be the plaintext that was refused.
"""

from __future__ import annotations

from sqlalchemy.exc import DontWrapMixin

from steward.errors import BadInput
from steward.fieldcrypt.errors import FieldCryptError


class MappingRefused(FieldCryptError, BadInput, DontWrapMixin):
    """An encrypted attribute is declared in a way that cannot work."""


class WriteRefused(FieldCryptError, BadInput, DontWrapMixin):
    """Something else than a ciphertext made for the place was about to be written to an encrypted column."""


class SearchRefused(FieldCryptError, BadInput, DontWrapMixin):
    """An encrypted column was compared or sorted in a way that ciphertexts and blind indexes do not allow."""


class RowIdUnknown(FieldCryptError, BadInput, DontWrapMixin):
    """A row's primary key is not known before the row is written, or comes back as another type than it went in."""


class RowIdChanged(FieldCryptError, BadInput, DontWrapMixin):
    """The primary key of a stored row was changed: its ciphertexts are bound to the one before."""


class OtherTenant(FieldCryptError, BadInput, DontWrapMixin):
    """A row of one tenant was about to be written where another is bound."""


class PendingNotPickled(FieldCryptError, BadInput, DontWrapMixin):
    """An object with an assigned, unflushed encrypted attribute was pickled or copied: its plaintext would be, too."""
