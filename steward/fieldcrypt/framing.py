"""Bytes that can be read in one way only: every part goes in behind its length, never joined by a separator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from steward.fieldcrypt.errors import ValueNotSupported

RowId = int | str | bytes | UUID | tuple["int | str | bytes | UUID", ...]
"""A primary key. Its type belongs to it: row 7 is not row "7"."""


def framed(*parts: bytes) -> bytes:
    """Each part behind its length in four bytes, big-endian. ("ab", "c") and ("a", "bc") differ."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def framed_row(row_id: RowId) -> bytes:
    """*row_id* as one framed part that begins with its type. ValueNotSupported for anything else."""
    # By exact type first: this stands on the path of every encryption.
    encoder = _BY_TYPE.get(type(row_id)) or _by_kinship(row_id)
    encoded = encoder(row_id)
    return len(encoded).to_bytes(4, "big") + encoded


def _integer(number: int) -> bytes:
    try:
        return b"i%d" % number
    except ValueError:
        raise _unsupported("int beyond Python's limit of digits") from None


def _text(text: str) -> bytes:
    # Of str itself: a subclass may have an `encode` of its own.
    return b"s" + str.encode(text, "utf-8", "surrogatepass")


def _raw(raw: bytes) -> bytes:
    return b"b" + raw


def _uuid(uuid: UUID) -> bytes:
    return b"u" + uuid.bytes


def _composite(row_id: tuple[Any, ...]) -> bytes:
    if not row_id:
        raise _unsupported("tuple without parts")
    return b"t" + b"".join(_part(part) for part in row_id)


def _part(row_id: Any) -> bytes:
    if isinstance(row_id, tuple):
        raise _unsupported("tuple inside a tuple")
    return framed_row(row_id)


_BY_TYPE: dict[type, Callable[[Any], bytes]] = {
    int: _integer,
    str: _text,
    bytes: _raw,
    UUID: _uuid,
    tuple: _composite,
}


def _by_kinship(row_id: object) -> Callable[[Any], bytes]:
    """Drivers have subclasses of UUID, applications of str. A truth value is no row id, though an int to Python."""
    if not isinstance(row_id, bool):
        for kind, encoder in _BY_TYPE.items():
            if isinstance(row_id, kind):
                return encoder
    raise _unsupported(type(row_id).__name__)


def _unsupported(seen: str) -> ValueNotSupported:
    return ValueNotSupported(
        f"a row id of type {seen}, expected int, str, bytes, UUID or a tuple of these",
        hint="give the row's primary key; it must be known before the row is written",
    )
