"""What stands in an object's state for an encrypted attribute: never a bare plaintext."""

from __future__ import annotations

from typing import NoReturn

from steward.fieldcrypt.sqlalchemy.errors import PendingNotPickled
from steward.fieldcrypt.values import Value


class Ciphertext(bytes):
    """What a row was read with. It opens where it stands; it is not written again anywhere, copied or moved."""

    __slots__ = ()


class Sealed(Ciphertext):
    """A ciphertext made for the place it is about to be written to: all that an encrypted column takes."""

    __slots__ = ()


class Index(bytes):
    """A blind index made beside a ciphertext, or for a search: all that an index column takes."""

    __slots__ = ()


class Pending:
    """An assigned value until the flush, when the row's primary key is known. Not shown, not pickled, not copied."""

    __slots__ = ("plaintext",)

    def __init__(self, plaintext: Value) -> None:
        self.plaintext = plaintext

    def __repr__(self) -> str:
        return "<Pending>"

    def __reduce__(self) -> NoReturn:
        raise PendingNotPickled(
            "an object was pickled or copied while a value assigned to an encrypted attribute is not flushed",
            hint="flush before; what is stored then is its ciphertext",
        )
