"""What is rendered from the description: the files of `deployments/elasticsearch/`, by relative path."""

from __future__ import annotations

import json
from typing import Any

from steward.search.cluster_settings import cluster_settings
from steward.search.description import SearchDescription
from steward.search.node_files import elasticsearch_yml, heap_options
from steward.search.repositories import bucket_lifecycle, read_only, repository_body
from steward.search.roles import bootstrap_roles, production_roles, recovery_roles, roles_file, scratch_roles
from steward.search.template import template_body

ORIGIN = "Rendered from search.toml by `python -m deployments.elasticsearch render`: change it there."
_HEADER = f"# {ORIGIN}\n"


def render(description: SearchDescription) -> dict[str, str]:
    """Every rendered file: relative path → text. The same description renders the same bytes."""
    return _node_files(description) | _roles() | _bodies(description)


def _node_files(description: SearchDescription) -> dict[str, str]:
    files: dict[str, str] = {}
    for node in description.nodes:
        files[f"nodes/{node.name}/elasticsearch.yml"] = _HEADER + elasticsearch_yml(description, node)
        files[f"nodes/{node.name}/jvm.options.d/heap.options"] = _HEADER + heap_options(description.size)
    return files


def _roles() -> dict[str, str]:
    return {
        "roles.yml": _HEADER + roles_file(production_roles()),
        "roles_scratch.yml": _HEADER + roles_file(scratch_roles()),
        "roles_bootstrap.yml": _HEADER + roles_file(bootstrap_roles()),
        "roles_recovery.yml": _HEADER + roles_file(recovery_roles()),
    }


def _bodies(description: SearchDescription) -> dict[str, str]:
    repository = description.repository
    return {
        "tenant_template.json": _json(template_body(description.tenants)),
        "cluster_settings.json": _json({"persistent": cluster_settings(description.watermarks)}),
        "repository_fs.json": _json(repository_body(repository.fs)),
        "repository_s3.json": _json(repository_body(repository.s3)),
        "repository_scratch_fs.json": _json(read_only(repository_body(repository.fs))),
        "repository_scratch_s3.json": _json(read_only(repository_body(repository.s3))),
        "bucket_lifecycle.json": _json(bucket_lifecycle(repository.s3, description.retention)),
    }


def _json(body: dict[str, Any]) -> str:
    return json.dumps(body, indent=2) + "\n"
