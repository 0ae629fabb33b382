"""The changes themselves. Each makes one part be as described, and may run twice with the effect of once."""

from __future__ import annotations

from typing import Any

from steward.search.actual import read_repository
from steward.search.desired import Desired
from steward.search.errors import ProvisioningRefused
from steward.search.repositories import moved
from steward.search.requests import Requests
from steward.search.template import TEMPLATE


def put_template(client: Requests, body: dict[str, Any]) -> None:
    client.request("PUT", f"/_index_template/{TEMPLATE}", body)


def put_cluster_settings(client: Requests, settings: dict[str, str]) -> None:
    """Also drops transient values of the same keys, which would hide these."""
    client.request("PUT", "/_cluster/settings", {"persistent": settings, "transient": dict.fromkeys(settings)})


def put_repository(client: Requests, cluster: str, desired: Desired) -> None:
    """Register the repository, which every node then proves it can write to.

    Raises ProvisioningRefused if it is meanwhile marked corrupted or registered elsewhere: the comparison that planned
    this may be minutes old.
    """
    registered = read_repository(client, desired.repository_name)
    if registered and (registered.corrupted or moved(desired.repository, registered.body)):
        raise ProvisioningRefused(cluster, [f"repository {desired.repository_name} changed since it was compared"])
    client.request("PUT", f"/_snapshot/{desired.repository_name}", desired.repository)


def verify_repository(client: Requests, name: str) -> tuple[str, ...]:
    """Names of the nodes that wrote a blob of their own to the repository, found the others', and removed it.

    Asked each time: a registration whose verification failed stays registered, and looks right in a comparison.
    """
    answer = client.request("POST", f"/_snapshot/{name}/_verify")
    return tuple(sorted(node["name"] for node in answer["nodes"].values()))
