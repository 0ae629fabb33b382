"""How Elasticsearch frames a blob of metadata, and Lucene a file: a header, a body, a footer with a CRC32.

The frame is Lucene's CodecUtil: `3fd76c17`, the codec's name behind one byte of length, its version; at the end
`c02893e8`, the algorithm (0) and the CRC32 of everything before it as eight bytes, all big-endian. The body is SMILE, as
a rule deflated without zlib's header behind `DFL` and a zero byte (Elasticsearch's ChecksumBlobStoreFormat and DeflateCompressor).
"""

from __future__ import annotations

import zlib
from typing import TypeVar

import msgspec

from steward.repository import smile
from steward.repository.blobs import MOST_METADATA_BYTES
from steward.repository.errors import MalformedBlob

T = TypeVar("T")

_HEADER_MAGIC = bytes.fromhex("3fd76c17")
_FOOTER_MAGIC = bytes.fromhex("c02893e8") + bytes(4)
_FOOTER_BYTES = 16
_CRC_BYTES = 8
_VERSION = (1).to_bytes(4, "big")
_DEFLATED = b"DFL\0"


def parse(path: str, blob: bytes, codec: str, shape: type[T]) -> T:
    """What a blob of metadata says, as *shape*. MalformedBlob says what is wrong with the blob at *path*."""
    try:
        return msgspec.convert(smile.decode(_inflated(path, body(path, blob, codec))), shape)
    except (smile.NotSmile, msgspec.ValidationError) as error:
        raise MalformedBlob(path, str(error)) from error


def body(path: str, blob: bytes, codec: str) -> bytes:
    """What lies between header and footer, once both and the checksum are right."""
    checksum = RunningChecksum()
    checksum.update(blob)
    if not checksum.sound:
        raise MalformedBlob(path, f"its CRC32 is {checksum.seen:08x}; its footer says {checksum.claimed}")
    header = _HEADER_MAGIC + bytes([len(codec)]) + codec.encode() + _VERSION
    if not blob.startswith(header):
        raise MalformedBlob(path, f"it begins with {blob[: len(header)].hex()}, expected {header.hex()}, codec {codec}")
    return blob[len(header) : -_FOOTER_BYTES]


class RunningChecksum:
    """The CRC32 of a file that Lucene wrote, while it streams by in pieces of any size."""

    def __init__(self) -> None:
        self._crc = 0
        self._tail = b""
        self.bytes = 0

    def update(self, piece: bytes) -> None:
        """The next bytes. The last sixteen are held back: they may be the footer."""
        self.bytes += len(piece)
        if len(piece) < _FOOTER_BYTES:
            piece = self._tail + piece
        else:
            self._crc = zlib.crc32(self._tail, self._crc)
        # Not by slicing: that would copy every byte of the repository once more.
        self._crc = zlib.crc32(memoryview(piece)[:-_FOOTER_BYTES], self._crc)
        self._tail = piece[-_FOOTER_BYTES:]

    @property
    def seen(self) -> int:
        """The CRC32 of everything but the last eight bytes."""
        return zlib.crc32(self._tail[:-_CRC_BYTES], self._crc)

    @property
    def claimed(self) -> str:
        """The CRC32 that the footer says, in words where there is no footer."""
        if self._tail[:-_CRC_BYTES] != _FOOTER_MAGIC:
            return f"nothing: {self._tail.hex() or 'no byte'} is none"
        return f"{int.from_bytes(self._tail[-_CRC_BYTES:], 'big'):08x}"

    @property
    def sound(self) -> bool:
        """There is a footer, and it is right."""
        return self.claimed == f"{self.seen:08x}"


def _inflated(path: str, packed: bytes) -> bytes:
    if not packed.startswith(_DEFLATED):
        return packed
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(packed[len(_DEFLATED) :], MOST_METADATA_BYTES)
    except zlib.error as error:
        raise MalformedBlob(path, f"it does not inflate: {error}") from error
    if not inflater.eof or inflater.unused_data:
        raise MalformedBlob(path, f"it does not end after {len(inflated):,} inflated bytes")
    return inflated
