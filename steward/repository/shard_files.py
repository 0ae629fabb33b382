"""The files of one shard, which two blobs tell of: the snapshot's own, which a restore reads, and the shard's
generation, which the next snapshot builds on. A file that only one of them has is lost to the other's reader.
"""

from __future__ import annotations

from collections.abc import Iterator

from steward.repository import layout
from steward.repository.account import Account, Generation, Kind, LuceneFile, Needed
from steward.repository.blob_format import RunningChecksum
from steward.repository.layout import ListedSnapshot, ShardFile, ShardGeneration, ShardSnapshot

#: What stands for one in the catalogue: Elasticsearch's own words. A generation's name is random, and may begin so, too.
_NO_GENERATION = {"_new", "_deleted"}
#: Names in one sentence; a blob of another shard differs in all of them.
_MOST_NAMED = 5


def read_shard(account: Account, snapshot: ListedSnapshot, folder: str, generation: str | None) -> None:
    """Read both accounts of the shard in *folder*, and add the files of *snapshot* to *account*."""
    if generation is None or generation in _NO_GENERATION:
        account.contradict(folder, [f"the catalogue has no generation of this shard: {generation}"])
        return
    path, whole_path = (
        layout.shard_snapshot_path(folder, snapshot.uuid),
        layout.shard_generation_path(folder, generation),
    )
    own = account.parsed(path, Kind.SHARD_SNAPSHOT, layout.shard_snapshot)
    whole = account.parsed(whole_path, Kind.SHARD_GENERATION, layout.shard_generation)
    if whole is not None:
        account.generations[whole_path] = generation_of(whole, own)
    if own is None:
        return
    if own.name != snapshot.name:
        account.contradict(path, [f"it is of snapshot {own.name}, expected {snapshot.name}"])
    account.contradict(path, _contradictions(own.files))
    account.files += [_lucene_file(folder, file) for file in own.files if not file.virtual]
    if whole is not None:
        account.contradict(whole_path, _differences(whole, snapshot.name, own.files), against=path)


def generation_of(whole: ShardGeneration, own: ShardSnapshot | None = None) -> Generation:
    """What *whole* says of other snapshots than the one whose files are *own*."""
    mine = {file.name for file in own.files} if own else set[str]()
    return Generation(frozenset(whole.snapshots), frozenset(file.name for file in whole.files if file.name not in mine))


def _contradictions(files: list[ShardFile]) -> Iterator[str]:
    """Two files of one name, and files within the metadata that are not what the metadata say."""
    if len({file.name for file in files}) < len(files):
        yield "it lists a file twice"
    for file in files:
        if file.virtual:
            checksum = RunningChecksum()
            checksum.update(file.meta_hash)
            if (checksum.bytes, checksum.seen, checksum.sound) != (file.length, file.crc32, True):
                yield f"{file.physical_name}, which lies in it, is not the file of {file.length} bytes that it lists"


def _differences(whole: ShardGeneration, snapshot: str, files: list[ShardFile]) -> Iterator[str]:
    """What the generation says of *snapshot*, and the snapshot itself otherwise."""
    if snapshot not in whole.snapshots:
        yield f"it does not list snapshot {snapshot}"
        return
    described = {file.name: file for file in whole.files}
    told, own = set(whole.snapshots[snapshot].files), {file.name: file for file in files}
    differing = told ^ own.keys() | {name for name in told & own.keys() if described.get(name) != own[name]}
    if differing:
        named = ", ".join(sorted(differing)[:_MOST_NAMED])
        yield f"{len(differing)} files of snapshot {snapshot} are others than the snapshot's own blob lists: {named}"


def _lucene_file(folder: str, file: ShardFile) -> LuceneFile:
    parts = tuple(Needed(f"{folder}/{name}", Kind.DATA, size) for name, size in file.parts())
    return LuceneFile(parts, file.physical_name, file.length, file.crc32)
