"""What a cluster holds, read through its API into plain values: definitions, sizes, clocks, disks, snapshots."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from steward.search.names import tenant_of
from steward.snapshots.api import SearchApi
from steward.snapshots.definitions import Definitions, IndexDefinition
from steward.snapshots.expiry import KnownSnapshot
from steward.snapshots.planning import TenantSize
from steward.verdicts import Verdict

NOT_FOUND = 404
#: Far below what a search may answer with (search.max_buckets is 65,536).
MOST_COUNTED = 20_000


def capture_definitions(client: SearchApi, pattern: str) -> Definitions:
    """The definitions of the indices that *pattern* matches, closed ones included, and of all templates."""
    indices = client.request("GET", f"/{pattern}?flat_settings=true&expand_wildcards=open,closed")
    held = {name: index_definition(found) for name, found in indices.items()}
    return capture_templates(client).model_copy(update={"indices": held})


def capture_templates(client: SearchApi) -> Definitions:
    """All index templates and component templates."""
    templates = client.request("GET", "/_index_template?flat_settings=true")["index_templates"]
    components = client.request("GET", "/_component_template?flat_settings=true")["component_templates"]
    return Definitions(
        indices={},
        templates={each["name"]: _undated(each["index_template"]) for each in templates},
        component_templates={each["name"]: _undated(each["component_template"]) for each in components},
    )


def index_definition(found: Mapping[str, Any]) -> IndexDefinition:
    """One index from the answer of `GET /INDEX?flat_settings=true`."""
    return IndexDefinition(
        uuid=found["settings"]["index.uuid"],
        mappings=found["mappings"],
        settings=found["settings"],
        aliases=found["aliases"],
    )


def _undated(template: Mapping[str, Any]) -> dict[str, Any]:
    # The cluster stamps when a template was put; a restore may put it anew.
    return {key: value for key, value in template.items() if key not in {"created_date_millis", "modified_date_millis"}}


def tenant_sizes(client: SearchApi, pattern: str, proved: Mapping[str, date]) -> list[TenantSize]:
    """Every tenant with its indices and what their primaries hold. *proved*: the night of each one's last proof."""
    path = f"/{pattern}/_stats/store,docs,shard_stats?level=indices&filter_path=indices.*.primaries"
    counted = document_counts(client, pattern)
    sizes: dict[str, dict[str, Any]] = {}
    for index, stats in client.request("GET", path).get("indices", {}).items():
        sizes.setdefault(tenant_of(index), {})[index] = stats["primaries"]
    return [
        TenantSize(
            tenant=tenant,
            indices=sorted(held),
            bytes=sum(each["store"]["size_in_bytes"] for each in held.values()),
            shards=sum(each["shard_stats"]["total_count"] for each in held.values()),
            documents=sum(counted[name] if name in counted else each["docs"]["count"] for name, each in held.items()),
            proved=proved.get(tenant),
        )
        for tenant, held in sorted(sizes.items())
    ]


def document_counts(client: SearchApi, pattern: str) -> dict[str, int]:
    """Documents of each index, as its users count them; an index beyond MOST_COUNTED, or without any, is absent."""
    body = {
        "size": 0,
        "track_total_hits": False,
        "aggs": {"held": {"terms": {"field": "_index", "size": MOST_COUNTED}}},
    }
    found = client.request("POST", f"/{pattern}/_search?ignore_unavailable=true", body)
    buckets = found.get("aggregations", {}).get("held", {}).get("buckets", [])
    return {each["key"]: each["doc_count"] for each in buckets}


def clock_offsets(client: SearchApi, clock: Callable[[], float]) -> dict[str, float]:
    """Seconds by which each node's clock is ahead of *clock*, less the doubt of the round trip."""
    asked = clock()
    nodes = client.request("GET", "/_nodes/stats/os?filter_path=nodes.*.name,nodes.*.timestamp")["nodes"]
    answered = clock()
    return {node["name"]: offset(node["timestamp"] / 1000, asked, answered) for node in nodes.values()}


def offset(remote: float, asked: float, answered: float) -> float:
    """How far *remote* lies outside the interval in which it was read; 0 inside. Seconds."""
    return min(0.0, remote - asked) + max(0.0, remote - answered)


def disks(client: SearchApi) -> dict[str, tuple[int, int]]:
    """(total, available) bytes of each node's data disk, by node name."""
    nodes = client.request("GET", "/_nodes/stats/fs?filter_path=nodes.*.name,nodes.*.fs.total")["nodes"]
    return {
        node["name"]: (node["fs"]["total"]["total_in_bytes"], node["fs"]["total"]["available_in_bytes"])
        for node in nodes.values()
    }


def repositories(client: SearchApi) -> dict[str, dict[str, Any]]:
    """The registered repositories by name."""
    found: dict[str, dict[str, Any]] = client.request("GET", "/_snapshot")
    return found


def blocked_indices(client: SearchApi, pattern: str) -> list[str]:
    """Indices that the flood stage has made read-only: their disk is full."""
    settings = client.request("GET", f"/{pattern}/_settings/index.blocks.read_only_allow_delete?flat_settings=true")
    return sorted(
        index
        for index, found in settings.items()
        if str(found["settings"].get("index.blocks.read_only_allow_delete")) == "true"
    )


def restored_indices(client: SearchApi, prefix: str) -> dict[str, str]:
    """UUID by name of the indices whose names begin with *prefix*."""
    found = client.request("GET", f"/{prefix}*/_settings/index.uuid?flat_settings=true&expand_wildcards=all")
    return {index: each["settings"]["index.uuid"] for index, each in found.items()}


def snapshot_info(client: SearchApi, repository: str, name: str) -> dict[str, Any] | None:
    """What the repository says of one snapshot; None where it holds none of that name."""
    answer = client.request("GET", f"/_snapshot/{repository}/{name}", ok=(NOT_FOUND,))
    return next(iter(answer.get("snapshots", ())), None)


def known_snapshots(
    client: SearchApi, repository: str, record: Mapping[str, tuple[date, Verdict | None]]
) -> list[KnownSnapshot]:
    """The snapshots in the repository that *record* (name to night and verdict) knows as Steward's own."""
    held = client.request("GET", f"/_snapshot/{repository}/nightly-*?index_names=false&verbose=true")["snapshots"]
    return [
        KnownSnapshot(
            name=each["snapshot"],
            night=record[each["snapshot"]][0],
            taken_at=started_at(each),
            state=each["state"],
            verdict=record[each["snapshot"]][1],
        )
        for each in held
        if each["snapshot"] in record
    ]


def started_at(info: Mapping[str, Any]) -> datetime:
    """When a snapshot began, by the cluster's clock."""
    return datetime.fromtimestamp(info["start_time_in_millis"] / 1000, UTC)


def delete_snapshots(client: SearchApi, repository: str, names: Iterable[str]) -> None:
    """Delete snapshots by name; one that is gone already is as wanted. A running one is aborted and removed."""
    for name in names:
        client.request("DELETE", f"/_snapshot/{repository}/{name}", ok=(NOT_FOUND,))
