"""A backup of the keyring as one object: one line of JSON that says what follows, then each table as gzip of COPY's text.

docs/keyring.md has the format. Whoever has psql can read it without this program; what it holds opens nothing without
the vault.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from steward.keys.backups_errors import BackupUnreadable

_GZIP = zlib.MAX_WBITS | 16
_BLOCK = 1 << 20
_MOST_HEADER = 1 << 20
_HINT = "take another backup: `python -m steward keyring backups` lists them"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class TablePart(_Frozen):
    """One table: its rows in the order of their primary key, as COPY writes them."""

    name: str
    columns: tuple[str, ...]
    rows: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="of the text, before gzip")
    stored_bytes: int = Field(ge=0, description="of the gzip member")


class Header(_Frozen):
    """The first line."""

    format: Literal["steward-keyring-backup/1"] = "steward-keyring-backup/1"
    taken_at: AwareDatetime
    """By the keyring's clock."""
    epoch: int
    revision: str
    """Of the keyring's schema."""
    tables: tuple[TablePart, ...]
    """In an order in which they can be filled."""
    sequences: dict[str, int]
    """The last number that each has given."""


class PartWriter:
    """Takes a table's text in blocks; keeps it compressed only."""

    def __init__(self, name: str, columns: Sequence[str]) -> None:
        self._name, self._columns = name, tuple(columns)
        self._digest, self._compressor = hashlib.sha256(), zlib.compressobj(wbits=_GZIP)
        self._rows, self._stored = 0, bytearray()

    def feed(self, block: bytes) -> None:
        # COPY's text has a line feed at the end of each row and nowhere else.
        self._rows += block.count(b"\n")
        self._digest.update(block)
        self._stored += self._compressor.compress(block)

    def done(self) -> tuple[TablePart, bytes]:
        """The part's description, and its gzip member."""
        self._stored += self._compressor.flush()
        part = TablePart(
            name=self._name,
            columns=self._columns,
            rows=self._rows,
            sha256=self._digest.hexdigest(),
            stored_bytes=len(self._stored),
        )
        return part, bytes(self._stored)


def assemble(header: Header, members: Sequence[bytes]) -> bytes:
    """The object: *members* are those of the header's tables, in their order."""
    return b"".join([header.model_dump_json().encode(), b"\n", *members])


def read_header(body: bytes) -> Header:
    """BackupUnreadable where *body* does not begin as a backup does, or is not as long as its header says."""
    end = body.find(b"\n", 0, _MOST_HEADER)
    try:
        header = Header.model_validate_json(body[: max(end, 0)])
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:3])
        raise BackupUnreadable(f"this is no backup of a keyring: {faults}", hint=_HINT) from None
    expected = end + 1 + sum(part.stored_bytes for part in header.tables)
    if len(body) != expected:
        raise BackupUnreadable(f"the backup has {len(body):,} bytes, expected {expected:,}", hint=_HINT)
    return header


def text_of(body: bytes, header: Header, part: TablePart) -> Iterator[bytes]:
    """The text of *part* in blocks. BackupUnreadable after the last one, where it is not what the header says."""
    before = sum(each.stored_bytes for each in header.tables[: header.tables.index(part)])
    begin = len(body) - sum(each.stored_bytes for each in header.tables) + before
    digest, opened = hashlib.sha256(), zlib.decompressobj(_GZIP)
    for at in range(begin, begin + part.stored_bytes, _BLOCK):
        try:
            block = opened.decompress(body[at : min(at + _BLOCK, begin + part.stored_bytes)])
        except zlib.error:
            break
        digest.update(block)
        yield block
    if digest.hexdigest() != part.sha256 or not opened.eof:
        raise BackupUnreadable(f"table {part.name} of the backup was damaged since it was taken", hint=_HINT)
