"""What a cluster holds, read and brought into the form that a description is written in. Nothing is changed here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from steward.search.repositories import CORRUPTED_GENERATION
from steward.search.requests import Requests, found
from steward.search.rolestores import Descriptor, RoleStore
from steward.search.template import TEMPLATE

# Times of the server's own, and the empty parts it adds to every template.
_TEMPLATE_ADDITIONS = ("created_date_millis", "modified_date_millis")


@dataclass(frozen=True)
class Repository:
    """A registered repository. *body* is as `PUT _snapshot` takes it, its location relative to `path.repo`."""

    body: dict[str, Any]
    corrupted: bool
    """Elasticsearch has found it changed behind its back, and has disabled it."""


@dataclass(frozen=True)
class ClusterSettings:
    """Flat keys. A transient value hides a persistent one until the next full restart."""

    persistent: dict[str, str]
    transient: dict[str, str]


@dataclass(frozen=True)
class Actual:
    """The parts of a cluster that provisioning decides, as they are."""

    roles: dict[str, dict[str, Descriptor]]
    template: dict[str, Any] | None
    repository: Repository | None
    settings: ClusterSettings
    nodes: dict[str, tuple[str, ...]]
    """Name → roles of every node that is in the cluster."""
    locked_bucket: str | None = None
    """The bucket described for the repository, if it has Object Lock."""


def read_actual(client: Requests, roles: RoleStore, repository: str, locked_bucket: str | None = None) -> Actual:
    """The cluster as it is. Raises what the client and the store of roles raise."""
    return Actual(
        roles=roles.read(),
        template=read_template(client),
        repository=read_repository(client, repository),
        settings=read_settings(client),
        nodes=read_nodes(client),
        locked_bucket=locked_bucket,
    )


def read_template(client: Requests) -> dict[str, Any] | None:
    """The index template of tenants, without what the server adds."""
    answer = found(client, f"/_index_template/{TEMPLATE}")
    if answer is None:
        return None
    template = answer["index_templates"][0]["index_template"]
    return {
        key: value
        for key, value in template.items()
        if key not in _TEMPLATE_ADDITIONS and not (key == "composed_of" and not value)
    }


def read_repository(client: Requests, name: str) -> Repository | None:
    """The repository as registered. Only the cluster state says whether it is marked corrupted."""
    state = client.request("GET", "/_cluster/state/metadata?filter_path=metadata.repositories")
    registered = state.get("metadata", {}).get("repositories", {}).get(name)
    if registered is None:
        return None
    body = {"type": registered["type"], "settings": _texts(registered.get("settings", {}))}
    return Repository(
        _relative(body, _repository_folder(client)),
        corrupted=registered.get("generation") == CORRUPTED_GENERATION,
    )


def read_settings(client: Requests) -> ClusterSettings:
    answer = client.request("GET", "/_cluster/settings?flat_settings=true")
    return ClusterSettings(_texts(answer["persistent"]), _texts(answer["transient"]))


def read_nodes(client: Requests) -> dict[str, tuple[str, ...]]:
    answer = client.request("GET", "/_nodes/_all/os?filter_path=nodes.*.name,nodes.*.roles")
    return {node["name"]: tuple(node["roles"]) for node in answer.get("nodes", {}).values()}


def _repository_folder(client: Requests) -> str | None:
    """The first `path.repo` of any node: Elasticsearch itself asks that nodes share them."""
    answer = client.request("GET", "/_nodes/settings?filter_path=nodes.*.settings.path.repo")
    folders = [node["settings"]["path"]["repo"] for node in answer.get("nodes", {}).values()]
    first = folders[0] if folders else None
    return first[0] if isinstance(first, list) else first


def _relative(body: dict[str, Any], folder: str | None) -> dict[str, Any]:
    """*body* with a location below *folder* said relative to it, as the server resolves a relative one."""
    location = PurePosixPath(body["settings"].get("location", ""))
    if folder is None or not location.is_relative_to(folder):
        return body
    return {**body, "settings": {**body["settings"], "location": str(location.relative_to(folder))}}


def _texts(settings: Mapping[str, Any]) -> dict[str, str]:
    return {key: value if isinstance(value, str) else str(value).lower() for key, value in settings.items()}
