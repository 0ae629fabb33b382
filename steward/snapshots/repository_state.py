"""What a cluster says of a snapshot repository of its own."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from steward.repository.comparing import Standing, ToldSnapshot
from steward.snapshots.api import SearchApi
from steward.snapshots.errors import Unproven

_STATE = "/_cluster/state/metadata?filter_path=metadata.cluster_uuid,metadata.repositories"


def standing(api: SearchApi, repository: str) -> Standing:
    """Which repository it is, and at which generation. Unproven: the cluster's state does not say."""
    metadata = api.request("GET", _STATE)["metadata"]
    found: dict[str, Any] = metadata.get("repositories", {}).get(repository, {})
    if not found.keys() >= {"uuid", "generation", "pending_generation"}:
        raise Unproven(
            f"the cluster's state does not say at which generation repository {repository!r} is",
            hint="is it registered, and has a snapshot been taken in it?",
        )
    return Standing(
        repository_uuid=found["uuid"],
        cluster_uuid=metadata["cluster_uuid"],
        generation=found["generation"],
        pending_generation=found["pending_generation"],
    )


def told_snapshots(api: SearchApi, repository: str) -> list[ToldSnapshot]:
    """Every snapshot that has ended, from its own blob. One whose blob the cluster cannot read is not among them."""
    query = "ignore_unavailable=true&index_names=false&include_repository=false"
    found = api.request("GET", f"/_snapshot/{quote(repository, safe='')}/_all?{query}")["snapshots"]
    return [
        ToldSnapshot(
            name=each["snapshot"],
            uuid=each["uuid"],
            state=each["state"],
            start_time_millis=each.get("start_time_in_millis"),
            end_time_millis=each.get("end_time_in_millis"),
            version_id=each.get("version_id"),
        )
        for each in found
        if each["state"] != "IN_PROGRESS"
    ]
