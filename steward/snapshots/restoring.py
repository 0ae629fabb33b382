"""Restore a snapshot on the scratch cluster, read what its commits hold, and drop what was restored."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

from steward.errors import BadInput
from steward.snapshots.api import SearchApi, in_request_lines
from steward.snapshots.assessment import Commit
from steward.snapshots.errors import CopyInTheWay, SnapshotSlow
from steward.snapshots.shards import NOT_FOUND, Primary, Shard, started_primaries

POLL_SECONDS = 0.2
TIMEOUT_SECONDS = 4 * 3600.0
PREFIX = re.compile(r"[a-z0-9][a-z0-9-]{0,80}")
#: Of the source's settings these are not taken over: they would delete the copy, move it, or leave it unassigned.
NOT_TAKEN_OVER = ["index.lifecycle.*", "index.routing.allocation.*"]
#: What Lucene and the blob store throw where the repository's bytes are at fault. Anything else that stops a restore, a
#: full disk say, is the scratch cluster's affair and says nothing against the snapshot.
DAMAGE = re.compile(
    r"CorruptIndexException|IndexFormatToo\w+Exception|CorruptStateException|NoSuchFileException|FileNotFoundException"
    r"|EOFException|XContentParseException|XContentEOFException|JsonParseException|SnapshotMissingException"
)
#: A full disk cuts files short, and a file cut short looks corrupt.
NO_ROOM = re.compile(r"No space left|File too large|Disk quota|not enough space", re.IGNORECASE)
CAUSE = re.compile(r"(?:^|; nested: |Caused by: |failure )([\w.$]+(?:Exception|Error)\b[^\n]*)")


class RestoredShard(BaseModel):
    """The first commit of a restored shard."""

    model_config = ConfigDict(frozen=True)

    index: str
    """The source's name."""
    shard: int
    local: int
    top: int

    @property
    def key(self) -> Shard:
        """Which shard of the source it is a copy of."""
        return Shard(self.index, self.shard)

    @property
    def commit(self) -> Commit:
        """What it is known to hold."""
        return Commit(self.local, self.top)


class FailedShard(BaseModel):
    """A shard that could not be restored."""

    model_config = ConfigDict(frozen=True)

    index: str
    shard: int
    reason: str
    damaged: bool
    """The repository's fault (a finding against the snapshot), not the scratch cluster's."""


class Restored(BaseModel):
    """What was restored under *prefix*, by the source's index names."""

    model_config = ConfigDict(frozen=True)

    repository: str
    snapshot: str
    prefix: str
    indices: list[str]
    """What was to be restored."""
    uuids: dict[str, str]
    """Of the copies, by their own names: what may be dropped."""
    shards: list[RestoredShard]
    failed: list[FailedShard] = []
    missing: list[str] = []
    """Not in the snapshot."""
    seconds: float
    bytes: int
    ended_at: float | None = None
    """Epoch seconds."""

    @property
    def span(self) -> tuple[float, float] | None:
        """When it began and ended, in epoch seconds."""
        return None if self.ended_at is None else (self.ended_at - self.seconds, self.ended_at)


def restore(
    api: SearchApi,
    repository: str,
    snapshot: str,
    indices: Sequence[str],
    prefix: str,
    *,
    on_created: Callable[[dict[str, str]], None] = lambda _: None,
    on_poll: Callable[[], None] = lambda: None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Restored:
    """Restore *indices* write-blocked as *prefix* + name, aliases included.

    What an earlier attempt restored from the same snapshot under these names is dropped first: the bounds of a commit
    can be read during the restore only (after five idle minutes Elasticsearch flushes, and they are gone). Shards that
    fail are named in the answer. *on_created* is told the copies' UUIDs as soon as they exist; *on_poll* runs while
    waiting. Raises CopyInTheWay, SnapshotSlow.
    """
    _check_prefix(prefix)
    held = set(_snapshot(api, repository, snapshot)["indices"])
    wanted, missing = [name for name in indices if name in held], [name for name in indices if name not in held]
    copies = [prefix + name for name in wanted]
    drop_restored(api, _earlier_attempts(api, repository, snapshot, copies))
    started = time.monotonic()
    if wanted:
        api.request("POST", _path(repository, snapshot) + "/_restore?wait_for_completion=false", _body(wanted, prefix))
        on_created(index_uuids(api, copies))
    first = _watch(api, snapshot, copies, on_poll, started + timeout_seconds)
    return Restored(
        repository=repository,
        snapshot=snapshot,
        prefix=prefix,
        indices=list(indices),
        uuids=index_uuids(api, copies),
        shards=[
            RestoredShard(index=s.index.removeprefix(prefix), shard=s.number, local=p.commit.local, top=p.commit.top)
            for s, p in sorted(first.items())
        ],
        failed=[] if not wanted else list(_failed_shards(api, copies, prefix)),
        missing=missing,
        seconds=time.monotonic() - started,
        bytes=_bytes(api, copies),
        ended_at=time.time(),
    )


def drop_restored(api: SearchApi, uuids: Mapping[str, str]) -> list[str]:
    """Delete the indices that still are the ones recorded; an index of the name but another UUID is left alone.

    Answers the names that were deleted.
    """
    now = index_uuids(api, uuids)
    dropped = [name for name, uuid in uuids.items() if now.get(name) == uuid]
    for names in in_request_lines(dropped):
        api.request("DELETE", f"/{names}?ignore_unavailable=true", ok=(NOT_FOUND,))
    return dropped


def index_uuids(api: SearchApi, names: Iterable[str]) -> dict[str, str]:
    """The UUIDs of those of *names* that exist."""
    found: dict[str, str] = {}
    for piece in in_request_lines(names):
        path = f"/_cluster/state/metadata/{piece}?ignore_unavailable=true&filter_path=metadata.indices.*.settings.index.uuid"
        known = api.request("GET", path, ok=(NOT_FOUND,)).get("metadata", {}).get("indices", {})
        found |= {name: facts["settings"]["index"]["uuid"] for name, facts in known.items()}
    return found


def _body(indices: Sequence[str], prefix: str) -> dict[str, Any]:
    return {
        "indices": ",".join(indices),
        "rename_pattern": "(.+)",
        "rename_replacement": f"{prefix}$1",
        "include_aliases": True,
        "include_global_state": False,
        "feature_states": ["none"],
        "ignore_index_settings": NOT_TAKEN_OVER,
        "index_settings": {
            "index.number_of_replicas": 0,
            "index.auto_expand_replicas": "false",
            "index.blocks.write": True,
            "index.refresh_interval": "-1",
        },
    }


def _watch(
    api: SearchApi, snapshot: str, copies: Sequence[str], on_poll: Callable[[], None], deadline: float
) -> dict[Shard, Primary]:
    """Each shard as it was seen first, until the restore has ended."""
    first: dict[Shard, Primary] = {}
    under_way = bool(copies)
    while under_way:
        under_way = _is_under_way(api, copies)
        # Once more after the end: the last shards may have started in between.
        first = started_primaries(api, copies) | first
        if time.monotonic() > deadline:
            raise SnapshotSlow(
                f"the restore of {snapshot} has not ended in its time",
                hint="see GET _recovery on the scratch cluster; restore fewer tenants at a time",
            )
        on_poll()
        if under_way:
            time.sleep(POLL_SECONDS)
    return first


def _is_under_way(api: SearchApi, copies: Sequence[str]) -> bool:
    """Whether the cluster still keeps a restore of these copies; a shard that failed for good is no longer awaited."""
    kept = api.request("GET", "/_cluster/state/customs?filter_path=restore")
    return any(
        name in set(copies) and shard["state"] not in ("SUCCESS", "FAILURE")
        for entry in kept.get("restore", {}).get("snapshots", [])
        for shard in entry.get("shards", [])
        for name in [shard["index"]["index_name"]]
    )


def _failed_shards(api: SearchApi, copies: Sequence[str], prefix: str) -> Iterable[FailedShard]:
    for names in in_request_lines(copies):
        path = f"/_cat/shards/{names}?format=json&h=index,shard,prirep,state,ur,ud"
        for row in api.request("GET", path):
            if row["prirep"] == "p" and row["state"] != "STARTED":
                reason = str(row.get("ud") or row.get("ur") or row["state"])
                yield FailedShard(
                    index=row["index"].removeprefix(prefix),
                    shard=int(row["shard"]),
                    reason=root_cause(reason),
                    damaged=is_damage(reason),
                )


def root_cause(reason: str) -> str:
    """The innermost exception of an unassigned shard's story, which is a Java stack of some 20 kB."""
    return (CAUSE.findall(reason) or [reason])[-1][:300]


def is_damage(reason: str) -> bool:
    """Whether a shard's failure is the repository's fault, by the exceptions that caused it."""
    causes = " ".join(CAUSE.findall(reason))
    return bool(DAMAGE.search(causes)) and not NO_ROOM.search(reason)


def _earlier_attempts(api: SearchApi, repository: str, snapshot: str, copies: Sequence[str]) -> dict[str, str]:
    """Those of *copies* that exist, if every one was restored from this snapshot; CopyInTheWay names one that was not."""
    there = index_uuids(api, copies)
    for names in in_request_lines(there):
        recovered = api.request("GET", f"/{names}/_recovery")
        for name in names.split(","):
            sources = [shard["source"] for shard in recovered.get(name, {}).get("shards", []) if shard["primary"]]
            if (
                not all((s.get("repository"), s.get("snapshot")) == (repository, snapshot) for s in sources)
                or not sources
            ):
                raise CopyInTheWay(
                    f"index {name} is on the scratch cluster, and was not restored from {snapshot}",
                    hint="find out who made it; the restore will not touch it",
                )
    return there


def _snapshot(api: SearchApi, repository: str, snapshot: str) -> dict[str, Any]:
    return api.request("GET", _path(repository, snapshot))["snapshots"][0]


def _path(repository: str, snapshot: str) -> str:
    return f"/_snapshot/{quote(repository, safe='')}/{quote(snapshot, safe='')}"


def _bytes(api: SearchApi, copies: Sequence[str]) -> int:
    total = 0
    for names in in_request_lines(copies):
        stats = api.request("GET", f"/{names}/_stats/store?filter_path=_all.primaries.store&ignore_unavailable=true")
        total += stats.get("_all", {}).get("primaries", {}).get("store", {}).get("size_in_bytes", 0)
    return total


def _check_prefix(prefix: str) -> None:
    if not PREFIX.fullmatch(prefix):
        raise BadInput(
            f"prefix {prefix!r} is none: expected small letters, digits and hyphens, and at least one",
            hint="without a prefix a restore would take the source's names",
        )
