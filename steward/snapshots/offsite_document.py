"""The document that ends an off-site copy: which blobs at which versions are a snapshot, and what it holds.

It is all that there has to be for a restore that proves itself, with the cluster, its repository and Steward's own
database gone: the blobs, pinned; the indices with their tenants, aliases and content digests; where it all came from.

gzip of a line of JSON, and the text of the manifest (steward.repository.manifest), whose SHA-256 the line holds.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Annotated

import msgspec

from steward.repository import manifest
from steward.repository.errors import ManifestUnreadable
from steward.repository.layout import Catalogue
from steward.repository.manifest import Entry, Manifest
from steward.search.names import tenant_of

FORMAT = "steward-offsite-v1"
_INDICES = "indices/"


def version_numbers(version: str) -> tuple[int, ...]:
    """In the order of Elasticsearch's versions: 9.10.0 is newer than 9.9.1, and a snapshot build as its release."""
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("-")[0])[:3])


class OffsiteIndex(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One index of the snapshot."""

    name: str
    tenant: str
    aliases: tuple[str, ...]
    folder: str
    """In the repository, below `indices/`: its id there."""
    bytes: int
    """Of its blobs: what is fetched to restore it."""
    documents: int | None = None
    """In the copy that the night restored and compared with its source; None: the night did not reach this index."""
    digest: str | None = None
    """Of those documents, as docs/content-digest.md says: `ALGORITHM:DOCUMENTS:HEX`."""


class OffsiteDocument(msgspec.Struct, frozen=True, dict=True):
    """One snapshot's copy."""

    cluster: str
    repository: str
    """The name by which the cluster knew it; its UUID, and the snapshot's, are in `blobs`."""
    cluster_uuid: str
    night: date
    taken_at: datetime
    elasticsearch: str
    """The version that wrote it: an older one does not restore it."""
    indices: tuple[OffsiteIndex, ...]
    blobs: Manifest
    """Every entry with the version of its object."""

    def body(self) -> bytes:
        """The document, packed; the same for the same copy, so that a second try writes no second version."""
        text = self.blobs.text()
        head = _Head(
            format=FORMAT,
            manifest_sha256=hashlib.sha256(text).hexdigest(),
            **{name: getattr(self, name) for name in self.__struct_fields__ if name != "blobs"},
        )
        return gzip.compress(msgspec.json.encode(head, order="sorted") + b"\n" + text, mtime=0)

    def entries(self, indices: Collection[str] | None = None) -> list[Entry]:
        """The blobs that a restore of *indices* reads, None: of all. What is no index's own is always among them."""
        folders = {each.folder for each in self.indices if indices is None or each.name in indices}
        return [each for each in self.blobs.entries if (folder_of(each.path) or "") in folders | {""}]

    def index_of(self, path: str) -> str | None:
        """The index that the blob at *path* is of, None where it is of all."""
        return self._names.get(folder_of(path) or "")

    @cached_property
    def _names(self) -> dict[str, str]:
        return {each.folder: each.name for each in self.indices}


@dataclass(frozen=True)
class Source:
    """Whose snapshot it is, and what its indices were found to hold."""

    cluster: str
    repository: str
    night: date
    taken_at: datetime
    elasticsearch: str
    aliases: Mapping[str, Collection[str]]
    """By index."""
    digests: Mapping[str, str]
    """By index: `ALGORITHM:DOCUMENTS:HEX`, of those that the night compared."""


def describe(source: Source, catalogue: Catalogue, blobs: Manifest) -> OffsiteDocument:
    """The document of the copy that *blobs* pins, whose *catalogue* it was read by."""
    sizes = Counter[str]()
    for entry in blobs.entries:
        sizes[folder_of(entry.path) or ""] += entry.bytes
    indices = {name: each for name, each in catalogue.indices.items() if blobs.snapshot_uuid in each.snapshots}
    return OffsiteDocument(
        cluster=source.cluster,
        repository=source.repository,
        cluster_uuid=catalogue.cluster_id,
        night=source.night,
        taken_at=source.taken_at,
        elasticsearch=source.elasticsearch,
        indices=tuple(
            OffsiteIndex(
                name=name,
                tenant=tenant_of(name),
                aliases=tuple(sorted(source.aliases.get(name, ()))),
                folder=each.id,
                bytes=sizes[each.id],
                documents=int(digest.split(":")[1]) if (digest := source.digests.get(name)) else None,
                digest=digest,
            )
            for name, each in sorted(indices.items())
        ),
        blobs=blobs,
    )


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    cluster: str
    repository: str
    cluster_uuid: str
    night: date
    taken_at: Annotated[datetime, msgspec.Meta(tz=True)]
    elasticsearch: str
    indices: tuple[OffsiteIndex, ...]
    manifest_sha256: str


def folder_of(path: str) -> str | None:
    """The folder of the index that the blob at *path* is of; None: it is of no single one."""
    return path.removeprefix(_INDICES).partition("/")[0] if path.startswith(_INDICES) else None


def read(body: bytes) -> OffsiteDocument:
    """The document packed into *body*. ManifestUnreadable: damaged, cut off, or none that was written here."""
    line, _, text = manifest.unpacked(body).partition(b"\n")
    try:
        head = msgspec.json.decode(line, type=_Head)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable(str(error)) from error
    if head.format != FORMAT:
        raise _unreadable(f"its format is {head.format}, expected {FORMAT}")
    if (seen := hashlib.sha256(text).hexdigest()) != head.manifest_sha256:
        raise _unreadable(f"its manifest has SHA-256 {seen}, expected {head.manifest_sha256}")
    told = {name: getattr(head, name) for name in _Head.__struct_fields__ if name not in {"format", "manifest_sha256"}}
    return OffsiteDocument(**told, blobs=manifest.parse(text))


def _unreadable(why: str) -> ManifestUnreadable:
    return ManifestUnreadable(
        f"the document of an off-site copy cannot be read: {why}",
        hint="take another night's, or an older version of it",
    )
