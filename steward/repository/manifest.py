"""A snapshot's manifest: every blob of its closure with size and SHA-256, as one text that anyone can check.

Canonical JSON lines: the first says of what, each further one a blob, sorted by path; keys sorted, no spaces. So the
same closure is the same text, and its SHA-256 stands for all of it in the night's statement.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import zlib
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from steward.repository.errors import ManifestUnreadable

FORMAT = "steward-blobs-v1"
#: Of the text, about 5 million blobs.
MOST_BYTES = 1 << 30

Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
#: Below the repository: no root, no `..`, no empty part.
Path = Annotated[str, msgspec.Meta(pattern=r"^(?!\.{1,2}(/|\Z))[A-Za-z0-9_.-]+(/(?!\.{1,2}(/|\Z))[A-Za-z0-9_.-]+)*\Z")]


class Entry(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A blob."""

    path: Path
    bytes: Annotated[int, msgspec.Meta(ge=0)]
    sha256: Sha256
    version: str = ""
    """Which version of the object is meant; empty where there are none, as in a folder."""


class Manifest(msgspec.Struct, frozen=True):
    """What a snapshot consists of."""

    repository: str
    """UUIDs of the repository and of the snapshot: names may be given again."""
    generation: int
    snapshot: str
    snapshot_uuid: str
    entries: tuple[Entry, ...]

    def text(self) -> bytes:
        """The canonical text: the same for the same blobs, in whatever order they were found."""
        head = {name: getattr(self, name) for name in ("repository", "generation", "snapshot", "snapshot_uuid")}
        head |= {"format": FORMAT, "entries": len(self.entries)}
        lines: Iterator[Any] = itertools.chain([head], sorted(self.entries, key=lambda entry: entry.path))
        return b"".join(msgspec.json.encode(line, order="sorted") + b"\n" for line in lines)

    def digest(self) -> str:
        """SHA-256 of the text, hexadecimal."""
        return hashlib.sha256(self.text()).hexdigest()

    def body(self) -> bytes:
        """The text, packed. Another zlib may pack it otherwise: the digest is the text's."""
        return gzip.compress(self.text(), mtime=0)


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    repository: str
    generation: int
    snapshot: str
    snapshot_uuid: str
    entries: int


def read(body: bytes) -> Manifest:
    """The manifest that was packed into *body*. ManifestUnreadable: damaged, cut off, or not in canonical form."""
    return parse(unpacked(body))


def parse(text: bytes) -> Manifest:
    """The manifest of that text. ManifestUnreadable."""
    lines = text.splitlines()
    try:
        head = msgspec.json.decode(lines[0] if lines else b"", type=_Head)
        entries = tuple(map(msgspec.json.Decoder(Entry).decode, lines[1:]))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable(str(error)) from error
    if head.format != FORMAT or head.entries != len(entries):
        raise _unreadable(f"{len(entries)} entries of {head.format}, expected {head.entries} of {FORMAT}")
    if len({entry.path for entry in entries}) < len(entries):
        raise _unreadable("it lists a blob twice")
    manifest = Manifest(head.repository, head.generation, head.snapshot, head.snapshot_uuid, entries)
    if manifest.text() != text:
        raise _unreadable("it is not in canonical form")
    return manifest


def unpacked(body: bytes) -> bytes:
    """What was packed by gzip, at most MOST_BYTES of it. ManifestUnreadable: damaged, cut off, or more."""
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)  # 16: with gzip's header and checksum
    try:
        text = inflater.decompress(body, MOST_BYTES)
    except zlib.error as error:
        raise _unreadable(str(error)) from error
    if not inflater.eof or inflater.unused_data:
        raise _unreadable(f"it does not end after {len(text):,} bytes of text")
    return text


def _unreadable(why: str) -> ManifestUnreadable:
    return ManifestUnreadable(f"the manifest cannot be read: {why}", hint="read the copy of it in the off-site bucket")
