"""What a closure is made of, and how its metadata are read: each blob once, and whatever is wrong with it told."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from steward.repository.blobs import Blobs
from steward.repository.errors import BlobMissing, MalformedBlob

T = TypeVar("T")


class Kind(StrEnum):
    """What a blob is to the repository."""

    LATEST = "latest"
    """`index.latest`: the only one that is written anew under its name."""
    CATALOGUE = "catalogue"
    SNAPSHOT = "snapshot"
    GLOBAL_METADATA = "global metadata"
    INDEX_METADATA = "index metadata"
    SHARD_GENERATION = "shard generation"
    SHARD_SNAPSHOT = "shard snapshot"
    DATA = "data"


@dataclass(frozen=True, slots=True)
class Needed:
    """A blob of the closure."""

    path: str
    kind: Kind
    bytes: int | None
    """Of data what the metadata say, of metadata what was read; None where there was nothing to read."""
    sha256: str | None = None
    """Of metadata, from the same reading that the closure was found by."""


@dataclass(frozen=True, slots=True)
class LuceneFile:
    """A file in its parts, which are read one after the other: the footer with its checksum ends the last one."""

    parts: tuple[Needed, ...]
    physical_name: str
    bytes: int
    crc32: int


@dataclass(frozen=True, slots=True)
class Damage:
    """A blob that is missing, malformed, or contradicts itself or another one."""

    path: str
    fact: str
    missing: bool = False
    """True where the blob was not there: while the repository is written to, it may just have been replaced."""
    against: str | None = None
    """The blob that says otherwise, where two disagree: either may be the wrong one."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What a shard's generation says of other snapshots than the one that is looked at."""

    snapshots: frozenset[str]
    """Names, that of the one looked at among them."""
    files: frozenset[str]
    """Names of files that the one looked at does not have."""


@dataclass
class Account:
    """What was read so far, of the whole or of one index."""

    blobs: Blobs
    metadata: list[Needed] = field(default_factory=list[Needed])
    files: list[LuceneFile] = field(default_factory=list[LuceneFile])
    damage: list[Damage] = field(default_factory=list[Damage])
    generations: dict[str, Generation] = field(default_factory=dict[str, Generation])
    """By path."""

    def read(self, path: str, kind: Kind) -> bytes:
        """The blob's bytes; it is needed whether they are there or not."""
        try:
            blob = self.blobs.read(path)
        except BlobMissing:
            self.metadata.append(Needed(path, kind, None))
            raise
        self.metadata.append(Needed(path, kind, len(blob), hashlib.sha256(blob).hexdigest()))
        return blob

    def parsed(self, path: str, kind: Kind, parse: Callable[[str, bytes], T]) -> T | None:
        """What *parse* makes of the blob; None, and the damage is told, where nothing can be made of it."""
        try:
            return parse(path, self.read(path, kind))
        except BlobMissing:
            self.damage.append(Damage(path, "it is missing", missing=True))
        except MalformedBlob as malformed:
            self.damage.append(Damage(path, malformed.why))
        return None

    def contradict(self, path: str, facts: Iterable[str], against: str | None = None) -> None:
        """Tell *facts* of the blob at *path*: it contradicts itself, or the one at *against*."""
        self.damage += [Damage(path, fact, against=against) for fact in facts]

    def extend(self, other: Account) -> None:
        """Take in what was read apart."""
        self.metadata += other.metadata
        self.files += other.files
        self.damage += other.damage
        self.generations |= other.generations
