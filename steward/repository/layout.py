"""Which blobs a repository has, what they are called and what they say: Elasticsearch's BlobStoreRepository, since 7.12.

Only what a closure needs is named here; whatever else a blob holds is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import msgspec

from steward.repository import blob_format
from steward.repository.errors import MalformedBlob

#: What becomes part of a path: URL-safe base64, digits for generations of old. A damaged one leads nowhere else.
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,100}\Z")]
FileName = Annotated[str, msgspec.Meta(pattern=r"^v?__[A-Za-z0-9_-]{1,100}\Z")]

LATEST = "index.latest"
#: `min_version` of every catalogue since repositories have UUIDs, and `version` of every snapshot since 8.11.
MIN_VERSION, COUNTED_APART = "7.12.0", "8.11.0"
#: More parts than any chunk_size makes of a file; a damaged size of parts would make more without end.
MOST_PARTS = 1_000_000
#: `state` of a snapshot in the catalogue, as the snapshot's own blob writes it.
STATES = ("IN_PROGRESS", "SUCCESS", "FAILED", "PARTIAL", "INCOMPATIBLE")


class ListedSnapshot(msgspec.Struct, frozen=True):
    """A snapshot in the catalogue."""

    name: str
    uuid: Name
    state: Annotated[int, msgspec.Meta(ge=0, lt=len(STATES))]
    index_metadata_lookup: dict[Name, str]
    """Index id → identifier of the index's metadata."""
    version: str | None = None
    index_version: int | None = None
    """Since versions of indices are counted apart (8.11); `version` is then the same for all."""
    start_time_millis: int | None = None
    end_time_millis: int | None = None
    slm_policy: str | None = None

    def contradictions(self) -> Iterator[str]:
        """What is missing beside the rest: a damaged name is one that nobody knows, and its field is then absent."""
        if (self.version == COUNTED_APART) != (self.index_version is not None):
            yield f"of snapshot {self.name} it says version {self.version} and index_version {self.index_version}"
        if self.index_version is not None:
            details = {each: getattr(self, each) for each in ("start_time_millis", "end_time_millis", "slm_policy")}
            if missing := [each for each, value in details.items() if value is None]:
                yield f"of snapshot {self.name} it does not say {', '.join(missing)}"


class ListedIndex(msgspec.Struct, frozen=True):
    """An index in the catalogue: of all that ever had its name, a deleted one and its successor alike.

    A shard's generation is that of the newest snapshot of it, and serves all of them.
    """

    id: Name
    snapshots: list[Name]
    shard_generations: list[Name | None] = []


class Catalogue(msgspec.Struct, frozen=True):
    """`index-N`: everything that the repository holds at its generation N. The only blob of JSON, without a checksum."""

    uuid: Name
    cluster_id: Name
    snapshots: list[ListedSnapshot]
    indices: dict[str, ListedIndex]
    index_metadata_identifiers: dict[str, Name]
    min_version: str | None = None

    def contradictions(self) -> Iterator[str]:
        """What its parts say of each other and cannot both be so: one flipped bit in an id, or in a name, shows here."""
        if self.min_version != MIN_VERSION:
            yield f"its min_version is {self.min_version}, expected {MIN_VERSION}: another format, or damage"
        for each in self.snapshots:
            yield from each.contradictions()
        known, ids = {each.uuid for each in self.snapshots}, {each.id for each in self.indices.values()}
        if len(known) < len(self.snapshots) or len(ids) < len(self.indices):
            yield "two snapshots or two indices have one id"
        if len({each.name for each in self.snapshots}) < len(self.snapshots):
            yield "two snapshots have one name"
        for name, index in self.indices.items():
            if (strange := set(index.snapshots) - known) or not index.snapshots:
                yield f"index {name} is in snapshots {', '.join(sorted(strange)) or 'none'}, which are not listed"
        for each in self.snapshots:
            if strange := each.index_metadata_lookup.keys() - ids:
                yield f"snapshot {each.name} has metadata of indices {', '.join(sorted(strange))}, which are not listed"
        used = {identifier for each in self.snapshots for identifier in each.index_metadata_lookup.values()}
        if strange := used ^ self.index_metadata_identifiers.keys():
            yield f"metadata {', '.join(sorted(strange))} is listed and not used, or used and not listed"


class IndexDetails(msgspec.Struct, frozen=True):
    """What a snapshot says of one of its indices."""

    shards: Annotated[int, msgspec.Meta(ge=0)] = msgspec.field(name="shard_count")


class SnapshotInfo(msgspec.Struct, frozen=True):
    """`snap-UUID.dat` at the root: the snapshot's own account of itself."""

    name: str
    uuid: Name
    state: str
    indices: list[str]
    start_time: int
    end_time: int
    index_details: dict[str, IndexDetails] = {}


class IndexMetadata(msgspec.Struct, frozen=True):
    """`indices/ID/meta-M.dat`: settings, mapping and aliases of one index."""

    settings: dict[str, Any]
    settings_version: int
    mapping_version: int
    aliases_version: int

    @property
    def shards(self) -> int:
        """How many primaries the index has."""
        return int(self.settings["index.number_of_shards"])

    @property
    def identifier(self) -> str:
        """By which the catalogue knows this metadata (IndexMetaDataGenerations.buildUniqueIdentifier)."""
        settings = self.settings
        index, history = settings.get("index.uuid"), settings.get("index.history.uuid", "_na_")
        return f"{index}-{history}-{self.settings_version}-{self.mapping_version}-{self.aliases_version}"


class ShardFile(msgspec.Struct, frozen=True):
    """A file of a shard's Lucene index, as one blob, as several, or, small enough, within the metadata itself."""

    name: FileName
    physical_name: str
    length: Annotated[int, msgspec.Meta(ge=0)]
    checksum: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-z]{1,7}\Z")]
    part_size: Annotated[int, msgspec.Meta(gt=0)] = (1 << 63) - 1
    meta_hash: bytes = b""

    def __post_init__(self) -> None:
        if self.length > self.part_size * MOST_PARTS:
            raise ValueError(f"{self.length:,} bytes in parts of {self.part_size:,}")

    @property
    def crc32(self) -> int:
        """The CRC32 in the file's own footer."""
        return int(self.checksum, 36)

    @property
    def virtual(self) -> bool:
        """Its bytes are `meta_hash`: it has no blob."""
        return self.name.startswith("v__")

    def parts(self) -> Iterator[tuple[str, int]]:
        """Name and bytes of each of its blobs, in order; none where it is virtual."""
        if self.virtual:
            return
        if self.length <= self.part_size:
            yield self.name, self.length
            return
        for number, start in enumerate(range(0, self.length, self.part_size)):
            yield f"{self.name}.part{number}", min(self.part_size, self.length - start)


class ShardSnapshot(msgspec.Struct, frozen=True):
    """`indices/ID/SHARD/snap-UUID.dat`: the files of one shard in one snapshot. A restore reads this."""

    name: str
    files: list[ShardFile] = []


class SnapshotFiles(msgspec.Struct, frozen=True):
    """The names of one snapshot's files."""

    files: list[FileName]


class ShardGeneration(msgspec.Struct, frozen=True):
    """`indices/ID/SHARD/index-GENERATION`: the files of one shard in all snapshots. The next snapshot builds on this."""

    files: list[ShardFile]
    snapshots: dict[str, SnapshotFiles]


def generations(paths: Iterable[str]) -> list[int]:
    """Of which generations there is a catalogue among *paths*, oldest first. Elasticsearch leaves the newest alone."""
    found = (re.fullmatch(r"index-([0-9]{1,18})", path) for path in paths)
    return sorted(int(match[1]) for match in found if match)


def catalogue_path(generation: int) -> str:
    """The catalogue at *generation*."""
    return f"index-{generation}"


def snapshot_path(uuid: str) -> str:
    """What a snapshot says of itself."""
    return f"snap-{uuid}.dat"


def global_metadata_path(uuid: str) -> str:
    """The cluster's own state in a snapshot."""
    return f"meta-{uuid}.dat"


def index_metadata_path(index_id: str, metadata: str) -> str:
    """An index's metadata, which several snapshots may share."""
    return f"indices/{index_id}/meta-{metadata}.dat"


def shard_folder(index_id: str, shard: int) -> str:
    """Where everything of one shard lies."""
    return f"indices/{index_id}/{shard}"


def shard_snapshot_path(folder: str, uuid: str) -> str:
    """A shard's files in one snapshot."""
    return f"{folder}/snap-{uuid}.dat"


def shard_generation_path(folder: str, generation: str) -> str:
    """A shard's files in all snapshots, at one of its generations."""
    return f"{folder}/index-{generation}"


def generation(blob: bytes) -> int:
    """What `index.latest` says."""
    if len(blob) != 8:  # noqa: PLR2004  a Java long
        raise MalformedBlob(LATEST, f"{len(blob)} bytes, expected 8")
    return int.from_bytes(blob, "big")


def catalogue(path: str, blob: bytes) -> Catalogue:
    """What `index-N` says. MalformedBlob: no JSON, or not of this shape."""
    try:
        return msgspec.json.decode(blob, type=Catalogue)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedBlob(path, str(error)) from error


def snapshot_info(path: str, blob: bytes) -> SnapshotInfo:
    """What a snapshot says of itself."""
    return _only(path, blob_format.parse(path, blob, "snapshot", dict[str, SnapshotInfo]), "snapshot")


def global_metadata(path: str, blob: bytes) -> dict[str, Any]:
    """Templates, pipelines, persistent settings: what is not of one index."""
    return _only(path, blob_format.parse(path, blob, "metadata", dict[str, dict[str, Any]]), "meta-data")


def index_metadata(index: str, path: str, blob: bytes) -> IndexMetadata:
    """What *index* was when the snapshot was taken."""
    found = _only(path, blob_format.parse(path, blob, "index-metadata", dict[str, IndexMetadata]), index)
    if not str(found.settings.get("index.number_of_shards", "")).isdecimal():
        raise MalformedBlob(path, "it does not say how many shards the index has")
    return found


def shard_snapshot(path: str, blob: bytes) -> ShardSnapshot:
    """The files of one shard in one snapshot."""
    return blob_format.parse(path, blob, "snapshot", ShardSnapshot)


def shard_generation(path: str, blob: bytes) -> ShardGeneration:
    """The files of one shard in all snapshots."""
    return blob_format.parse(path, blob, "snapshots", ShardGeneration)


def _only(path: str, found: dict[str, blob_format.T], key: str) -> blob_format.T:
    if found.keys() != {key}:
        raise MalformedBlob(path, f"it is about {', '.join(found) or 'nothing'}, expected {key}")
    return found[key]
