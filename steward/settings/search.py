"""Elasticsearch, where documents are searched and snapshots taken."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from steward.settings.base import Credentials, Frozen


class SearchCluster(Frozen):
    """One Elasticsearch cluster. Users are keyed by purpose: `snapshot`, `provision`, `monitoring`, `tenants`."""

    hosts: list[str] = Field(min_length=1, description="https URLs; any of them serves")
    ca_file: Path | None = Field(default=None, description="CA of the cluster; the system's when absent")
    users: dict[str, Credentials]
    role_files: list[Path] = Field(
        default=[],
        description="each node's roles.yml, where roles live in files; empty: roles are put by the security API",
    )
