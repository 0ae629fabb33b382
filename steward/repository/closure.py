"""The closure of a snapshot: every blob that a restore, the next snapshot or a look at the repository needs of it.

It is found by reading the metadata alone. Each blob of these says again what another one says, and whatever disagrees is
told: a restore reads one of the two and cannot notice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial

from steward.repository import layout
from steward.repository.account import Account, Damage, Generation, Kind, LuceneFile, Needed
from steward.repository.blobs import Blobs
from steward.repository.errors import MalformedBlob, SnapshotAbsent
from steward.repository.layout import Catalogue, ListedIndex, ListedSnapshot, SnapshotInfo
from steward.repository.shard_files import read_shard


@dataclass(frozen=True)
class Closure:
    """Every blob that the snapshot needs at this generation, in a fixed order, and what is wrong with those read."""

    generation: int
    catalogue: Catalogue
    """The repository's and the cluster's UUID, and every snapshot: to be compared with what the cluster says."""
    snapshot: ListedSnapshot
    metadata: tuple[Needed, ...]
    files: tuple[LuceneFile, ...]
    damage: tuple[Damage, ...]
    generations: Mapping[str, Generation]
    """What the shards' generations say of other snapshots, by their paths."""

    @property
    def needed(self) -> Iterator[Needed]:
        """Metadata and data, each blob once."""
        yield from self.metadata
        for file in self.files:
            yield from file.parts

    def index_of(self, path: str) -> str | None:
        """The name of the index that the blob at *path* is of, None where it is of all."""
        return self._indices.get(path.removeprefix("indices/").partition("/")[0])

    @cached_property
    def _indices(self) -> dict[str, str]:
        return {index.id: name for name, index in self.catalogue.indices.items()}


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
    pinned = _Pinned(path, catalogue, _listed(catalogue, path, snapshot_uuid))
    account.contradict(path, catalogue.contradictions())
    account.parsed(layout.LATEST, Kind.LATEST, partial(_pointing_to, generation))
    info = _read_roots(account, pinned)
    for read in each(lambda name: _read_index(blobs, pinned, info, name), sorted(pinned.indices)):
        account.extend(read)
    return Closure(
        generation=generation,
        catalogue=catalogue,
        snapshot=pinned.snapshot,
        metadata=tuple(account.metadata),
        files=tuple(account.files),
        damage=tuple(account.damage),
        generations=account.generations,
    )


@dataclass(frozen=True)
class _Pinned:
    """One snapshot in the catalogue at `path`."""

    path: str
    catalogue: Catalogue
    snapshot: ListedSnapshot

    @cached_property
    def indices(self) -> dict[str, ListedIndex]:
        """The snapshot's own."""
        return {name: each for name, each in self.catalogue.indices.items() if self.snapshot.uuid in each.snapshots}


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


def _read_roots(account: Account, pinned: _Pinned) -> SnapshotInfo | None:
    uuid = pinned.snapshot.uuid
    path = layout.snapshot_path(uuid)
    if info := account.parsed(path, Kind.SNAPSHOT, layout.snapshot_info):
        account.contradict(path, _snapshot_differs(info, pinned), against=pinned.path)
    account.parsed(layout.global_metadata_path(uuid), Kind.GLOBAL_METADATA, layout.global_metadata)
    return info


def _snapshot_differs(info: SnapshotInfo, pinned: _Pinned) -> Iterator[str]:
    """What a snapshot says of itself, and the catalogue otherwise."""
    listed = pinned.snapshot
    seen = (info.name, info.uuid, info.state, info.start_time, info.end_time)
    times = listed.start_time_millis, listed.end_time_millis
    expected = (listed.name, listed.uuid, layout.STATES[listed.state], *times)
    for what, here, there in zip(("name", "UUID", "state", "start", "end"), seen, expected, strict=True):
        if here != there:
            yield f"its {what} is {here}, and {there} in the catalogue"
    if differing := set(info.indices) ^ pinned.indices.keys():
        yield f"{', '.join(sorted(differing)[:5])}: in the snapshot by it or by the catalogue, not by both"


def _read_index(blobs: Blobs, pinned: _Pinned, info: SnapshotInfo | None, name: str) -> Account:
    """One index: its metadata, and both accounts of each of its shards."""
    account, index = Account(blobs), pinned.indices[name]
    identifier = pinned.snapshot.index_metadata_lookup.get(index.id, "")
    # Until 7.9 each snapshot wrote the metadata of each index anew, under its own UUID and without an identifier.
    metadata = pinned.catalogue.index_metadata_identifiers.get(identifier, pinned.snapshot.uuid)
    path = layout.index_metadata_path(index.id, metadata)
    found = account.parsed(path, Kind.INDEX_METADATA, partial(layout.index_metadata, name))
    details = info.index_details.get(name) if info else None
    told = {each.shards for each in (found, details) if each}
    if found and found.identifier != (identifier or found.identifier):
        account.contradict(path, [f"it is {found.identifier}, and {identifier} in the catalogue"], against=pinned.path)
    if len(told) > 1:
        fact = f"{name} has {found and found.shards} shards, and {details and details.shards} by the snapshot itself"
        account.contradict(path, [fact], against=layout.snapshot_path(pinned.snapshot.uuid))
    _read_shards(account, pinned, index, max(told, default=len(index.shard_generations)))
    return account


def _read_shards(account: Account, pinned: _Pinned, index: ListedIndex, shards: int) -> None:
    """As many as the index had in this snapshot: one of the same name in another snapshot may have had more."""
    if shards > len(index.shard_generations):
        fact = f"it lists {len(index.shard_generations)} shards of index {index.id}, which has {shards}"
        account.contradict(pinned.path, [fact])
    for shard, generation in enumerate(index.shard_generations[:shards]):
        read_shard(account, pinned.snapshot, layout.shard_folder(index.id, shard), generation)
