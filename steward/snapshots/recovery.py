"""Restore onto a cluster that tenants use, closed to writers until it is proved, and never over anything that is there.

What is restored is blocked by `index.blocks.read_only`: nobody writes it before its documents are compared, and a block
that the index had of its own (`index.blocks.write`, say) is there again when that one is lifted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

from steward.errors import StewardError
from steward.snapshots.api import SearchApi, in_request_lines
from steward.snapshots.errors import SnapshotSlow
from steward.snapshots.recovery_plan import IndexInTheWay, PlannedIndex
from steward.snapshots.recovery_request import Names
from steward.snapshots.restoring import NOT_TAKEN_OVER, FailedShard, drop_restored, index_uuids, is_damage, root_cause
from steward.snapshots.shards import NOT_FOUND

POLL_SECONDS = 0.5
TIMEOUT_SECONDS = 48 * 3600.0
BLOCK = "index.blocks.read_only"
#: All that the recovery does there. A user without one of these would stop halfway.
NEEDED = (
    "cluster:admin/snapshot/restore",
    "cluster:admin/repository/put",
    "cluster:admin/repository/delete",
)
NEEDED_OF_INDICES = ("create_index", "manage", "read")


class RoleNotLent(StewardError):
    """The user that would restore may not. Nothing was touched."""


class RestoreReplaced(StewardError):
    """An index that was restored is gone, or is another one of its name."""


class RecoveredIndices(BaseModel):
    """What was restored, by the names it has now."""

    model_config = ConfigDict(frozen=True)

    uuids: dict[str, str]
    failed: list[FailedShard] = []
    """By the names that the indices had."""
    seconds: float
    bytes: int
    """On disk, of primaries."""


def check_rights(api: SearchApi, cluster: str, targets: Iterable[str]) -> None:
    """RoleNotLent: the user may not do all that restoring *targets* takes."""
    asked = {"cluster": NEEDED, "index": [{"names": sorted(targets), "privileges": NEEDED_OF_INDICES}]}
    answer = api.request("POST", "/_security/user/_has_privileges", asked)
    if not answer["has_all_requested"]:
        lacking = sorted(name for name, granted in answer["cluster"].items() if not granted)
        lacking += sorted(
            {name for index in answer["index"].values() for name, granted in index.items() if not granted}
        )
        raise RoleNotLent(
            f"user {answer['username']} on {cluster} lacks {', '.join(lacking)}",
            hint="lend it the role steward_recovery: add deployments/elasticsearch/roles_recovery.yml to each node's "
            "roles.yml, and take it out again afterwards; docs/runbooks/restore-from-offsite.md",
        )


def aliases_of(api: SearchApi) -> dict[str, list[str]]:
    """Every alias of the cluster, with its indices."""
    found: dict[str, list[str]] = {}
    for index, held in api.request("GET", "/_alias", ok=(NOT_FOUND,)).items():
        for alias in held.get("aliases", {}):
            found.setdefault(alias, []).append(index)
    return found


def versions(api: SearchApi) -> dict[str, str]:
    """Elasticsearch's version by node."""
    nodes = api.request("GET", "/_nodes/_all/none?filter_path=nodes.*.name,nodes.*.version")["nodes"]
    return {each["name"]: each["version"] for each in nodes.values()}


def begin_restore(
    api: SearchApi, repository: str, snapshot: str, indices: Sequence[PlannedIndex], names: Names
) -> dict[str, str]:
    """Begin to restore those of *indices* that this repository has not brought back yet; the UUIDs of all.

    A try that died may have begun it: then that goes on. *repository* is of one recovery alone, so what came from it is
    this one's. IndexInTheWay: there is an index of such a name that came from elsewhere. (One that is open, Elasticsearch
    itself refuses to restore over; one that is closed it would replace.)
    """
    targets = [each.target for each in indices]
    there = index_uuids(api, targets)
    if strange := sorted(there.keys() - brought_by(api, repository, there)):
        raise IndexInTheWay(
            f"index {strange[0]} was made by somebody else since this recovery began; nothing is restored over it",
            hint="delete it, or restore under a prefix, and run it again",
        )
    missing = [each for each in indices if each.target not in there]
    if missing:
        body = restore_body(missing, names)
        api.request("POST", f"{_path(repository, snapshot)}/_restore?wait_for_completion=false", body)
    return index_uuids(api, targets)


def brought_by(api: SearchApi, repository: str, names: Iterable[str]) -> set[str]:
    """Those of *names* that were restored from *repository*, or are about to be."""
    found = set[str]()
    for piece in in_request_lines(sorted(names)):
        recovered = api.request("GET", f"/{piece}/_recovery?ignore_unavailable=true", ok=(NOT_FOUND,))
        found |= {
            name
            for name, each in recovered.items()
            for shard in each.get("shards", [])
            if shard["primary"] and shard["source"].get("repository") == repository
        }
        # A shard that waits, or failed for good, has no recovery to show.
        path = f"/_cluster/state/routing_table/{piece}?ignore_unavailable=true&filter_path=routing_table.indices"
        routed = api.request("GET", path).get("routing_table", {}).get("indices", {})
        found |= {
            name
            for name, each in routed.items()
            for copies in each["shards"].values()
            for copy in copies
            if copy.get("recovery_source", {}).get("repository") == repository
        }
    return found


def restore_body(indices: Sequence[PlannedIndex], names: Names) -> dict[str, Any]:
    """The request that restores *indices* under their targets' names."""
    body: dict[str, Any] = {
        "indices": ",".join(each.name for each in indices),
        "include_aliases": names is Names.AS_THEY_WERE,
        "include_global_state": False,
        "feature_states": ["none"],
        "ignore_index_settings": NOT_TAKEN_OVER,
        "index_settings": {BLOCK: True},
    }
    if names is Names.UNDER_PREFIX:
        prefix = indices[0].target.removesuffix(indices[0].name)
        body |= {"rename_pattern": "(.+)", "rename_replacement": f"{prefix}$1"}
    return body


def await_restore(
    api: SearchApi,
    indices: Sequence[PlannedIndex],
    *,
    on_poll: Callable[[int, int], None] = lambda _done, _of: None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> list[FailedShard]:
    """Wait until every primary is there, or has failed for good: those are the answer.

    *on_poll* is told how many primaries of how many have ended. Raises SnapshotSlow.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        # Asked first: a shard that ends in between is then seen as started, not as one that nobody awaits.
        under_way = _under_way(api)
        rows = _primaries(api, [each.target for each in indices])
        ended = [row for row in rows if row["state"] == "STARTED" or (row["index"], int(row["shard"])) not in under_way]
        on_poll(len(ended), len(rows))
        if len(ended) == len(rows):
            return list(_failed(rows, indices))
        if time.monotonic() > deadline:
            raise SnapshotSlow(
                f"{len(rows) - len(ended)} of {len(rows)} shards are not restored in their time",
                hint="see GET _recovery on that cluster; run it again to go on waiting",
            )
        time.sleep(POLL_SECONDS)


def open_indices(api: SearchApi, uuids: Mapping[str, str]) -> list[str]:
    """Let writers at those that still are the ones restored; answers their names. RestoreReplaced names one that is not."""
    now = index_uuids(api, uuids)
    if replaced := sorted(name for name, uuid in uuids.items() if now.get(name) != uuid):
        raise RestoreReplaced(
            f"index {replaced[0]} has UUID {now.get(replaced[0], 'none')}; restored was {uuids[replaced[0]]}",
            hint="find out who deleted it; what was restored is not there any more",
        )
    for names in in_request_lines(sorted(uuids)):
        api.request("PUT", f"/{names}/_settings", {BLOCK: None})
    return sorted(uuids)


def closed_now(api: SearchApi, names: Iterable[str]) -> dict[str, str]:
    """Those of *names* that are there and blocked as a recovery leaves them, with their UUIDs."""
    now, closed = index_uuids(api, names), set[str]()
    for piece in in_request_lines(sorted(now)):
        found = api.request("GET", f"/{piece}/_settings/{BLOCK}?flat_settings=true&ignore_unavailable=true")
        closed |= {name for name, each in found.items() if str(each["settings"].get(BLOCK)) == "true"}
    return {name: uuid for name, uuid in now.items() if name in closed}


def drop_closed(api: SearchApi, uuids: Mapping[str, str]) -> list[str]:
    """Delete those of *uuids* that nobody has opened since; answers their names."""
    now = closed_now(api, uuids)
    closed = {name: uuid for name, uuid in uuids.items() if now.get(name) == uuid}
    for names in in_request_lines(sorted(closed)):
        # An index that is read-only cannot be deleted.
        api.request("PUT", f"/{names}/_settings?ignore_unavailable=true", {BLOCK: None})
    return drop_restored(api, closed)


def stored_bytes(api: SearchApi, names: Iterable[str]) -> int:
    """On disk, of primaries."""
    total = 0
    for piece in in_request_lines(names):
        stats = api.request("GET", f"/{piece}/_stats/store?filter_path=_all.primaries.store&ignore_unavailable=true")
        total += stats.get("_all", {}).get("primaries", {}).get("store", {}).get("size_in_bytes", 0)
    return total


def _primaries(api: SearchApi, targets: Sequence[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for names in in_request_lines(targets):
        path = f"/_cat/shards/{names}?format=json&h=index,shard,prirep,state,ur,ud"
        found += [row for row in api.request("GET", path) if row["prirep"] == "p"]
    return found


def _under_way(api: SearchApi) -> set[tuple[str, int]]:
    """Shards that the cluster still means to restore; one that failed for good is no longer awaited."""
    kept = api.request("GET", "/_cluster/state/customs?filter_path=restore")
    return {
        (shard["index"]["index_name"], int(shard["shard"]))
        for entry in kept.get("restore", {}).get("snapshots", [])
        for shard in entry.get("shards", [])
        if shard["state"] not in ("SUCCESS", "FAILURE")
    }


def _failed(rows: Iterable[dict[str, Any]], indices: Sequence[PlannedIndex]) -> Iterable[FailedShard]:
    named = {each.target: each.name for each in indices}
    for row in rows:
        if row["state"] != "STARTED":
            reason = str(row.get("ud") or row.get("ur") or row["state"])
            yield FailedShard(
                index=named[row["index"]],
                shard=int(row["shard"]),
                reason=root_cause(reason),
                damaged=is_damage(reason),
            )


def _path(repository: str, snapshot: str) -> str:
    return f"/_snapshot/{quote(repository, safe='')}/{quote(snapshot, safe='')}"
