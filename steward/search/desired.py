"""What a cluster should hold, as the description has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from steward.search.cluster_settings import cluster_settings
from steward.search.description import RepositoryKind, SearchDescription
from steward.search.repositories import repository_body
from steward.search.roles import Role
from steward.search.template import template_body


@dataclass(frozen=True)
class Desired:
    """The parts of a cluster that provisioning decides, each as its API takes it."""

    roles: dict[str, Role]
    template: dict[str, Any]
    repository_name: str
    repository: dict[str, Any]
    settings: dict[str, str]
    nodes: tuple[str, ...]
    """Only looked for: machines are not made here."""

    @property
    def bucket(self) -> str | None:
        """The bucket that the repository is in, where it is in one."""
        return self.repository["settings"].get("bucket")


def desired_state(description: SearchDescription, kind: RepositoryKind, roles: dict[str, Role]) -> Desired:
    """What *description* says of a cluster whose repository is of *kind* and that keeps *roles*."""
    return Desired(
        roles=roles,
        template=template_body(description.tenants),
        repository_name=description.repository.name,
        repository=repository_body(description.repository.of(kind)),
        settings=cluster_settings(description.watermarks),
        nodes=tuple(node.name for node in description.nodes),
    )
