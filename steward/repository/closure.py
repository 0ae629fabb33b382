"""The closure of a snapshot: every blob that a restore, the next snapshot or a look at the repository needs of it.

It is found by reading the metadata alone. Each blob of these says again what another one says, and whatever disagrees is
told: a restore reads one of the two and cannot notice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from steward.repository import layout
from steward.repository.account import Account, Damage, Kind, LuceneFile, Needed
from steward.repository.blobs import Blobs
from steward.repository.errors import MalformedBlob, SnapshotAbsent
from steward.repository.layout import Catalogue, ListedIndex, ListedSnapshot, SnapshotInfo
from steward.repository.shard_files import read_shard


@dataclass(frozen=True)
class Closure:
    """Every blob that the snapshot needs at this generation, in a fixed order, and what is wrong with those read."""

    repository: str
    """The repository's UUID."""
    cluster: str
    """The UUID of the cluster that wrote the catalogue, to be compared with the cluster's own."""
    generation: int
    snapshot: str
    snapshot_uuid: str
    indices: dict[str, str]
    """Id → name of each index in the snapshot."""
    metadata: tuple[Needed, ...]
    files: tuple[LuceneFile, ...]
    damage: tuple[Damage, ...]

    @property
    def needed(self) -> Iterator[Needed]:
        """Metadata and data, each blob once."""
        yield from self.metadata
        for file in self.files:
            yield from file.parts

    def index_of(self, path: str) -> str | None:
        """The name of the index that the blob at *path* is of, None where it is of all."""
        folder, _, rest = path.partition("/")
        return self.indices.get(rest.partition("/")[0]) if folder == "indices" else None


Each = Callable[[Callable[[str], Account], Iterable[str]], Iterable[Account]]
"""`map`, or a thread pool's: indices are read apart, which on a bucket is mostly waiting."""


def closure_of(blobs: Blobs, generation: int, snapshot_uuid: str, each: Each = map) -> Closure:
    """What *snapshot_uuid* needs at *generation*. What is wrong below the catalogue is told in `damage`, all of it.

    Raises BlobMissing or MalformedBlob where the catalogue itself cannot be read, SnapshotAbsent where it does not list
    the snapshot, and BlobsAway and BlobRefused as *blobs* does.
    """
    account = Account(blobs)
    path = layout.catalogue_path(generation)
    catalogue = layout.catalogue(path, account.read(path, Kind.CATALOGUE))
    snapshot = _listed(catalogue, path, snapshot_uuid)
    mine = {name: index for name, index in sorted(catalogue.indices.items()) if snapshot.uuid in index.snapshots}
    account.contradict(path, catalogue.contradictions())
    account.parsed(layout.LATEST, Kind.LATEST, partial(_pointing_to, generation))
    _read_roots(account, snapshot, mine)
    for read in each(lambda name: _read_index(blobs, catalogue, snapshot, name), mine):
        account.extend(read)
    return Closure(
        repository=catalogue.uuid,
        cluster=catalogue.cluster_id,
        generation=generation,
        snapshot=snapshot.name,
        snapshot_uuid=snapshot.uuid,
        indices={index.id: name for name, index in mine.items()},
        metadata=tuple(account.metadata),
        files=tuple(account.files),
        damage=tuple(account.damage),
    )


def _listed(catalogue: Catalogue, path: str, uuid: str) -> ListedSnapshot:
    for each in catalogue.snapshots:
        if each.uuid == uuid:
            return each
    raise SnapshotAbsent(
        f"{path} lists {len(catalogue.snapshots)} snapshots, and none with the UUID {uuid}",
        hint="was it deleted, or was the repository rolled back to an older generation?",
    )


def _pointing_to(generation: int, path: str, blob: bytes) -> int:
    if (seen := layout.generation(blob)) != generation:
        raise MalformedBlob(path, f"it says generation {seen}, expected {generation}")
    return seen


def _read_roots(account: Account, snapshot: ListedSnapshot, mine: dict[str, ListedIndex]) -> None:
    path = layout.snapshot_path(snapshot.uuid)
    if info := account.parsed(path, Kind.SNAPSHOT, layout.snapshot_info):
        account.contradict(path, _contradictions(info, snapshot, mine))
    account.parsed(layout.global_metadata_path(snapshot.uuid), Kind.GLOBAL_METADATA, layout.global_metadata)


def _contradictions(info: SnapshotInfo, snapshot: ListedSnapshot, mine: dict[str, ListedIndex]) -> Iterator[str]:
    """What a snapshot says of itself, and the catalogue otherwise."""
    seen = (info.name, info.uuid, info.state, info.start_time, info.end_time)
    times = snapshot.start_time_millis, snapshot.end_time_millis
    expected = (snapshot.name, snapshot.uuid, layout.STATES[snapshot.state], *times)
    for what, here, there in zip(("name", "UUID", "state", "start", "end"), seen, expected, strict=True):
        if there is not None and here != there:
            yield f"its {what} is {here}, and {there} in the catalogue"
    if differing := set(info.indices) ^ mine.keys():
        yield f"{_some(differing)}: in the snapshot by it or by the catalogue, not by both"
    for name, details in info.index_details.items():
        if name in mine and details.shard_count != len(mine[name].shard_generations):
            yield f"{name}: {details.shard_count} shards, and {len(mine[name].shard_generations)} in the catalogue"


def _read_index(blobs: Blobs, catalogue: Catalogue, snapshot: ListedSnapshot, name: str) -> Account:
    """One index: its metadata, and both accounts of each of its shards."""
    account, index = Account(blobs), catalogue.indices[name]
    identifier = snapshot.index_metadata_lookup.get(index.id, "")
    # Until 7.9 each snapshot wrote the metadata of each index anew, under its own UUID and without an identifier.
    path = layout.index_metadata_path(index.id, catalogue.index_metadata_identifiers.get(identifier, snapshot.uuid))
    if metadata := account.parsed(path, Kind.INDEX_METADATA, partial(layout.index_metadata, name)):
        if metadata.shards != len(index.shard_generations):
            account.contradict(path, [f"{metadata.shards} shards, and {len(index.shard_generations)} in the catalogue"])
        if metadata.identifier != (identifier or metadata.identifier):
            account.contradict(path, [f"it is {metadata.identifier}, and {identifier} in the catalogue"])
    for shard, generation in enumerate(index.shard_generations):
        read_shard(account, snapshot, layout.shard_folder(index.id, shard), generation)
    return account


def _some(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)[:5])
