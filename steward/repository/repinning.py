"""A manifest made anew where the repository has moved: the same snapshot, at the generation that is there now.

A snapshot that another one follows, or that outlives one, keeps its data and its own metadata. What is replaced is the
catalogue and the generation of each shard, small blobs all of them; what of those is wrong shows in the closure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from steward.repository import layout
from steward.repository.account import Damage
from steward.repository.blobs import Blobs
from steward.repository.closure import Closure, Each, closure_of
from steward.repository.manifest import Entry, Manifest


@dataclass(frozen=True)
class Repinned:
    """The snapshot at another generation, or why it is not there whole."""

    manifest: Manifest | None
    damage: tuple[Damage, ...] = ()


def newest_generation(blobs: Blobs) -> int:
    """Of the newest catalogue that lies there; -1: none does."""
    return max(layout.generations(blobs.sizes("index-")), default=-1)


def pin_anew(blobs: Blobs, manifest: Manifest, each: Each = map) -> Repinned:
    """*manifest* at the newest generation. Raises BlobMissing, MalformedBlob and SnapshotAbsent as `closure_of` does.

    A blob of data that *manifest* does not know is damage: nobody has read it, and a snapshot gets none after its end.
    """
    closure = closure_of(blobs, newest_generation(blobs), manifest.snapshot_uuid, each)
    known = {entry.path: entry for entry in manifest.entries}
    damage = closure.damage + tuple(_strange(closure, known))
    if damage:
        return Repinned(None, damage)
    metadata = [
        Entry(path=needed.path, bytes=needed.bytes or 0, sha256=needed.sha256 or "") for needed in closure.metadata
    ]
    data = [known[part.path] for file in closure.files for part in file.parts]
    return Repinned(
        Manifest(
            repository=closure.catalogue.uuid,
            generation=closure.generation,
            snapshot=manifest.snapshot,
            snapshot_uuid=manifest.snapshot_uuid,
            entries=(*metadata, *data),
        )
    )


def _strange(closure: Closure, known: Mapping[str, Entry]) -> Iterator[Damage]:
    """What nobody has read, and what is no longer what was read. Only `index.latest` is written anew under its name."""
    for file in closure.files:
        for part in file.parts:
            if part.path not in known:
                yield Damage(part.path, "the snapshot did not need it when it was checked")
    for each in closure.metadata:
        before = known.get(each.path)
        if before and each.path != layout.LATEST and each.sha256 not in {before.sha256, None}:
            yield Damage(each.path, f"its SHA-256 is {each.sha256}, and was {before.sha256} when it was checked")
