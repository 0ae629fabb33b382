"""What lies inside of what: compressed members, Prefect's base64, and both in one another."""

from __future__ import annotations

import base64
import bz2
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

#: A task's result in base64 in JSON in gzip has four layers.
_DEPTH = 6
#: A member that is larger is nothing of ours.
_MOST_BYTES = 64 << 20
#: A run of base64. Its lines may be wrapped, and their ends escaped once or more, as JSON and COPY do.
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{40,}(?:(?:\r?\n|\\{1,4}n)[A-Za-z0-9+/_-]+)*")
_BREAKS = re.compile(rb"\r?\n|\\+n")
_STANDARD = bytes.maketrans(b"-_", b"+/")
#: At the beginning only: two bytes are met by chance everywhere else.
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


def layers(data: bytes, *, text: bool, depth: int = _DEPTH) -> Iterator[tuple[str, bytes]]:
    """*data* itself (""), and everything inside with the way to it. *text*: runs of base64 are looked into as well."""
    yield "", data
    if depth == 0:
        return
    for name, inside in _inside(data, text=text):
        # What comes out of a container is small: it is looked into as text.
        for deeper, layer in layers(inside, text=True, depth=depth - 1):
            yield f"{name} > {deeper}" if deeper else name, layer


def _inside(data: bytes, *, text: bool) -> Iterator[tuple[str, bytes]]:
    for name, magic, opened in _MEMBERS:
        at = data.find(magic)
        while at >= 0:
            if inside := _expanded(opened(), memoryview(data)[at : at + _MOST_BYTES]):
                yield name, inside
            at = data.find(magic, at + 1)
    if data.startswith(_ZLIB) and (inside := _expanded(zlib.decompressobj(), memoryview(data))):
        yield "zlib", inside
    if data.startswith(b"PK\x03\x04"):
        yield from (("zip", inside) for inside in _zipped(data))
    if text:
        yield from (("base64 run", _decoded(run[0])) for run in _BASE64.finditer(data))


def _expanded(opened: Any, data: memoryview) -> bytes:
    try:
        return opened.decompress(data, _MOST_BYTES)
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
        return b""


def _zipped(data: bytes) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for each in archive.infolist():
                if each.file_size < _MOST_BYTES:
                    yield archive.read(each)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return


def _decoded(run: bytes) -> bytes:
    letters = _BREAKS.sub(b"", run).translate(_STANDARD)
    return base64.b64decode(letters[: len(letters) // 4 * 4])


_MEMBERS: list[tuple[str, bytes, Callable[[], Any]]] = [
    ("gzip", b"\x1f\x8b\x08", lambda: zlib.decompressobj(zlib.MAX_WBITS | 16)),
    ("bzip2", b"BZh91AY&SY", bz2.BZ2Decompressor),
    ("xz", b"\xfd7zXZ\x00", lzma.LZMADecompressor),
]
