"""A repository as it lies, against what the cluster says of it, what its own metadata say, and what it was on earlier nights.

Each comparison tells what differs, by the blob that a person would look at. None of them reads anything.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date

from steward.repository import layout
from steward.repository.account import Generation, Kind, LuceneFile
from steward.repository.closure import Closure
from steward.repository.due import Known
from steward.repository.hashing import Fault, Reading
from steward.repository.layout import Catalogue, ListedSnapshot

#: What the cluster says of a repository that it found changed by another hand (RepositoryData.CORRUPTED_REPO_GEN).
CORRUPTED = -3
#: What the catalogue has in place of a shard's generation where there is none.
NO_GENERATION = (None, "_new", "_deleted")
#: Names in one sentence.
_MOST_NAMED = 5


@dataclass(frozen=True)
class Standing:
    """What the cluster's state says of a repository."""

    repository_uuid: str
    cluster_uuid: str
    generation: int
    pending_generation: int

    @property
    def moving(self) -> bool:
        """A generation is being written."""
        return self.pending_generation != self.generation


@dataclass(frozen=True)
class ToldSnapshot:
    """A snapshot as the cluster tells it."""

    name: str
    uuid: str
    state: str
    start_time_millis: int | None
    end_time_millis: int | None
    version_id: int | None = None
    """Of the indices' format, by which the catalogue knows who wrote it."""


@dataclass(frozen=True)
class KeptManifest:
    """What is on record of a VERIFIED snapshot."""

    snapshot: str
    snapshot_uuid: str
    night: date
    repository_uuid: str
    generation: int


def compare_standing(
    path: str, catalogue: Catalogue, standing: Standing, generations: Sequence[int], last: KeptManifest | None
) -> Iterator[Fault]:
    """Whether the catalogue at *path* is of the cluster's repository and the newest, and newer than what was proved last."""
    if catalogue.uuid != standing.repository_uuid:
        yield Fault(path, f"it is of repository {catalogue.uuid}; the cluster's is {standing.repository_uuid}")
        return
    if catalogue.cluster_id != standing.cluster_uuid:
        yield Fault(path, f"cluster {catalogue.cluster_id} wrote it last; expected {standing.cluster_uuid}")
    if generations and generations[-1] != standing.generation:
        newest = layout.catalogue_path(generations[-1])
        yield Fault(path, f"the newest catalogue is {newest}; the cluster is at generation {standing.generation}")
    if last and last.repository_uuid != catalogue.uuid:
        yield Fault(path, f"it is of repository {catalogue.uuid}; {last.snapshot} was proved in {last.repository_uuid}")
    elif last and last.generation >= standing.generation:
        yield Fault(path, f"generation {standing.generation}; {last.snapshot} was proved at {last.generation} already")


def compare_snapshots(path: str, catalogue: Catalogue, told: Iterable[ToldSnapshot]) -> Iterator[Fault]:
    """What the catalogue says of its snapshots, and the cluster otherwise: it has no checksum, and they have."""
    by_cluster = {each.uuid: each for each in told}
    for each in catalogue.snapshots:
        seen = by_cluster.get(each.uuid)
        if seen is None:
            yield Fault(
                layout.snapshot_path(each.uuid), f"the cluster cannot read snapshot {each.name}, which {path} lists"
            )
        elif differing := ", ".join(_differences(each, seen)):
            yield Fault(path, f"of snapshot {each.uuid} it says otherwise than the cluster: {differing}")
    for uuid in sorted(by_cluster.keys() - {each.uuid for each in catalogue.snapshots}):
        yield Fault(path, f"it does not list snapshot {by_cluster[uuid].name} ({uuid}), which the cluster has")


def _differences(listed: ListedSnapshot, seen: ToldSnapshot) -> Iterator[str]:
    pairs = {
        "name": (listed.name, seen.name),
        "state": (layout.STATES[listed.state], seen.state),
        "start": (listed.start_time_millis, seen.start_time_millis),
        "end": (listed.end_time_millis, seen.end_time_millis),
        "version": (listed.index_version, seen.version_id or listed.index_version),
    }
    for what, (here, there) in pairs.items():
        # A catalogue of an older Elasticsearch says no times.
        if here is not None and here != there:
            yield f"{what} {here}, not {there}"


def find_gone(
    catalogue: Catalogue, verified: Mapping[str, date], tonight: date, retention_days: int
) -> Iterator[tuple[str, date]]:
    """VERIFIED snapshots that should still be kept and are not listed: what *verified* names, none that expired."""
    listed = {each.name for each in catalogue.snapshots}
    for name, night in sorted(verified.items(), key=lambda item: (item[1], item[0])):
        if name not in listed and (tonight - night).days <= retention_days:
            yield name, night


def compare_sizes(closure: Closure, sizes: Mapping[str, int], known: Mapping[str, Known]) -> Iterator[Fault]:
    """Whether all that the closure needs is there, as long as its metadata say and as it was."""
    for needed in closure.needed:
        was = known.get(needed.path)
        if needed.path not in sizes:
            # What could not be read as metadata is told already.
            if needed.bytes is not None:
                yield Fault(needed.path, "it is missing", missing=True)
        elif needed.bytes is not None and sizes[needed.path] != needed.bytes:
            yield Fault(needed.path, f"{sizes[needed.path]:,} bytes, expected {needed.bytes:,}")
        elif was and sizes[needed.path] != was.bytes:
            yield Fault(needed.path, f"{sizes[needed.path]:,} bytes; it had {was.bytes:,} on {was.read_night}")


def compare_elders(elders: Iterable[Known], sizes: Mapping[str, int]) -> Iterator[Fault]:
    """The same for what only older snapshots need."""
    for was in elders:
        if was.path not in sizes:
            yield Fault(was.path, "it is missing", missing=True)
        elif sizes[was.path] != was.bytes:
            yield Fault(was.path, f"{sizes[was.path]:,} bytes; it had {was.bytes:,} on {was.read_night}")


def compare_generations(
    generations: Mapping[str, Generation], catalogue: Catalogue, sizes: Mapping[str, int]
) -> Iterator[Fault]:
    """Whether each shard's generation lists every snapshot that has the shard: the next deletion takes the files of others."""
    names = {each.uuid: each.name for each in catalogue.snapshots}
    having = {index.id: index.snapshots for index in catalogue.indices.values()}
    for path, generation in generations.items():
        folder = path.rpartition("/")[0]
        for uuid in having.get(folder.split("/")[1], ()):
            # An index that was made anew had fewer shards before, or more.
            beside = layout.shard_snapshot_path(folder, uuid)
            if beside in sizes and uuid in names and names[uuid] not in generation.snapshots:
                yield Fault(path, f"it does not list snapshot {names[uuid]}, whose account of the shard is {beside}")


def find_unlisted(generations: Mapping[str, Generation], elders: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Blobs of older snapshots that their shard's generation does not list, each with the path of that."""
    by_folder = {path.rpartition("/")[0]: path for path in generations}
    for elder in elders:
        folder, _, name = elder.rpartition("/")
        at = by_folder.get(folder)
        if at and name.startswith("__") and name.partition(".part")[0] not in generations[at].files:
            yield elder, at


def compare_reading(reading: Reading, was: Known | Reading | None) -> Fault | None:
    """Whether a blob is what it was when it was last read: the checksum in it proves nothing against who meant it."""
    if was is None or (reading.bytes, reading.sha256) == (was.bytes, was.sha256):
        return None
    when = f"on {was.read_night}" if isinstance(was, Known) else "when it was read last"
    return Fault(
        reading.path,
        f"{reading.bytes:,} bytes with SHA-256 {reading.sha256[:16]}…; {when} it was {was.bytes:,} with {was.sha256[:16]}…",
    )


def find_elders(
    known: Iterable[Known], closure_paths: AbstractSet[str], catalogue: Catalogue, manifests: Sequence[KeptManifest]
) -> Iterator[Known]:
    """What older snapshots that are still there may need, and tonight's does not: by the nights in which they had it."""
    listed = {each.uuid for each in catalogue.snapshots}
    nights = sorted(each.night for each in manifests if each.snapshot_uuid in listed)
    newest = max((each.night for each in manifests), default=date.min)
    for blob in known:
        at = bisect_left(nights, blob.first_night)
        if blob.path not in closure_paths and at < len(nights) and nights[at] <= (blob.last_night or newest):
            yield blob


def files_to_read(
    files: Iterable[LuceneFile], known: AbstractSet[str], faulty: AbstractSet[str]
) -> Iterator[LuceneFile]:
    """Files of which a part was never read; none of which a part is known to be wrong."""
    for file in files:
        paths = {part.path for part in file.parts}
        if not faulty & paths and not paths <= known:
            yield file


def is_immutable(path: str) -> bool:
    """Whether a blob keeps its name and its bytes until its last snapshot goes. Catalogues and generations are replaced."""
    return not path.rpartition("/")[2].startswith("index")


def kind_of(path: str) -> Kind | None:
    """What the blob at *path* is, by its name; None: no blob has such a path."""
    *folders, name = path.split("/")
    begins = "index." if name == layout.LATEST else name.partition("-")[0] if "-" in name else name[:2]
    return _KINDS.get((begins, len(folders))) or (
        Kind.DATA if name.startswith("__") and len(folders) == _SHARD else None
    )


_SHARD = 3
_KINDS = {
    ("index.", 0): Kind.LATEST,
    ("index", 0): Kind.CATALOGUE,
    ("snap", 0): Kind.SNAPSHOT,
    ("meta", 0): Kind.GLOBAL_METADATA,
    ("meta", 2): Kind.INDEX_METADATA,
    ("index", _SHARD): Kind.SHARD_GENERATION,
    ("snap", _SHARD): Kind.SHARD_SNAPSHOT,
}


def other_generations(catalogue: Catalogue, closure_paths: AbstractSet[str]) -> Iterator[str]:
    """Generations of shards that tonight's snapshot does not have: of deleted indices, and of those with fewer shards now."""
    for index in catalogue.indices.values():
        for shard, generation in enumerate(index.shard_generations):
            path = layout.shard_generation_path(layout.shard_folder(index.id, shard), generation or "")
            if generation not in NO_GENERATION and path not in closure_paths:
                yield path


def snapshots_of(path: str, catalogue: Catalogue) -> list[str] | None:
    """Names of the snapshots that need a catalogue or a shard's generation; None: of other blobs the manifests tell."""
    if is_immutable(path):
        return None
    index_id = path.removeprefix("indices/").partition("/")[0]
    needing = {uuid for index in catalogue.indices.values() if index.id == index_id for uuid in index.snapshots}
    oldest_first = sorted(catalogue.snapshots, key=lambda each: each.start_time_millis or 0)
    return [each.name for each in oldest_first if each.uuid in needing or "/" not in path]


def in_words(names: Sequence[str]) -> str:
    """The newest of *names*, and how many more."""
    named = ", ".join(names[-_MOST_NAMED:])
    return f"{named} and {len(names) - _MOST_NAMED} older ones" if len(names) > _MOST_NAMED else named
