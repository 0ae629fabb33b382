"""The replica's two clusters: their nodes, users and roles, by the names that settings and flows use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Cluster:
    """One Elasticsearch cluster of the replica."""

    name: str
    """Also its name in settings."""
    nodes: tuple[str, ...]
    users: Mapping[str, str]
    """Purpose → role. The user is called as its purpose; settings hold these and no others."""
    role_file: str
    """In `deployments/elasticsearch`: what each node's roles.yml begins as."""
    repository_file: str
    """In `deployments/elasticsearch`: how snapshot repository `nightly` is registered."""

    def secret(self, username: str) -> str:
        """What the replica calls the password of *username*: no password serves in two clusters."""
        return f"elasticsearch.{self.name}.{username}"


#: The replica's own hand in both clusters: registers the repository, lets drills do damage. Settings never name it.
HAND = "replica"
HAND_ROLE = "superuser"

PRODUCTION = Cluster(
    name="production",
    nodes=("es-1", "es-2", "es-3"),
    users={
        "snapshot": "steward_snapshot",
        "provision": "steward_provision",
        "monitoring": "steward_monitoring",
        "tenants": "steward_tenants",
        # Of a role that nobody has: a person lends it for a recovery, by roles_recovery.yml.
        "recover": "steward_recovery",
    },
    role_file="roles.yml",
    repository_file="repository_fs.json",
)
#: Restores happen only here: its users are unknown in production, its repository is read-only.
SCRATCH = Cluster(
    name="scratch",
    nodes=("scratch",),
    users={"restore": "steward_restore", "monitoring": "steward_monitoring"},
    role_file="roles_scratch.yml",
    repository_file="repository_scratch_fs.json",
)
