"""What one node reads: elasticsearch.yml, log4j2.properties, the file realm, roles.yml.

Ports, heap, paths and watermarks are the replica's own; roles come from `deployments/elasticsearch`, as in production.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Collection, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from replica.elasticsearch import file_realm
from replica.elasticsearch.clusters import HAND, HAND_ROLE, PRODUCTION, Cluster
from replica.server import Place

_LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
# Each tells at every start, with a long stack, of a part that the published jars lack and the replica does without.
logger.native.name = org.elasticsearch.nativeaccess.NativeAccess
logger.native.level = error
logger.roles.name = org.elasticsearch.xpack.security.support.QueryableBuiltInRolesSynchronizer
logger.roles.level = error
"""


def folder(place: Place, node: str) -> Path:
    """A node's configuration folder."""
    return place.folder(node) / "config"


def repository(place: Place) -> Path:
    """The folder of snapshot repository `nightly`: one for all nodes of both clusters, as a bucket would be."""
    return place.state / "repository"


def staging(place: Place) -> Path:
    """Where copies are fetched to, for all nodes of both clusters: beside the repository and not below it."""
    return place.state / "staging"


def write(place: Place, cluster: Cluster, node: str) -> None:
    """Everything that *node* reads at its start. roles.yml is begun once and then left to the flows that change it."""
    for path in (folder(place, node), repository(place), staging(place)):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    _replace(folder(place, node) / "elasticsearch.yml", render(settings(place, cluster, node)))
    _replace(folder(place, node) / "log4j2.properties", _LOGGING)
    _write_users(
        folder(place, node),
        {name: place.secret(cluster.secret(name)) for name in (*cluster.users, HAND)},
        {name: [role] for name, role in {**cluster.users, HAND: HAND_ROLE}.items()},
    )
    if not (roles := folder(place, node) / "roles.yml").exists():
        _replace(roles, (resources.files("deployments") / "elasticsearch" / cluster.role_file).read_text())


def add_user(place: Place, username: str, password: str, roles: Collection[str], cluster: Cluster = PRODUCTION) -> None:
    """A file-realm user on every node of *cluster*, for tests; running nodes know it within about a second."""
    for node in cluster.nodes:
        _write_users(folder(place, node), {username: password}, {username: roles})


def settings(place: Place, cluster: Cluster, node: str) -> dict[str, Any]:
    """elasticsearch.yml of *node*, flat. A setting whose module is not published would stop the node."""
    data = place.folder(node)
    return {
        "cluster.name": cluster.name,
        "node.name": node,
        "path.data": str(data / "data"),
        "path.logs": str(data / "logs"),
        # A relative location is below the first.
        "path.repo": [str(repository(place)), str(staging(place))],
        "network.host": "127.0.0.1",
        "http.port": place.port(node, "http"),
        "transport.port": place.port(node, "transport"),
        # Otherwise vm.max_map_count must be raised on many machines, which takes root.
        "node.store.allow_mmap": False,
        # A small heap trips the parent breaker (429) on garbage that the next collection frees.
        "indices.breaker.total.limit": "100%",
        # Default 5 s: how soon a new tenant's role or a test's user is known.
        "resource.reload.interval.high": "1s",
        **_discovery(place, cluster),
        **_watermarks(),
        **_security(place, node),
    }


def render(values: Mapping[str, Any]) -> str:
    """YAML: each value in JSON, which YAML holds, so nothing needs quoting rules of its own."""
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items())


def _discovery(place: Place, cluster: Cluster) -> dict[str, Any]:
    if len(cluster.nodes) == 1:
        return {"discovery.type": "single-node"}
    return {
        "discovery.seed_hosts": [f"127.0.0.1:{place.port(node, 'transport')}" for node in cluster.nodes],
        # Kept after the first start too: an emptied node alone is no majority of three, so it founds no second cluster,
        # and a replica that was killed before its first election can still hold it.
        "cluster.initial_master_nodes": list(cluster.nodes),
    }


def _watermarks() -> dict[str, Any]:
    """Absolute: by default a disk that is 85% full stops shards, however many gigabytes that leaves."""
    disk = "cluster.routing.allocation.disk.watermark"
    return {f"{disk}.low": "1gb", f"{disk}.high": "700mb", f"{disk}.flood_stage": "400mb"}


def _security(place: Place, node: str) -> dict[str, Any]:
    realms, ssl = "xpack.security.authc.realms", _tls(place, node)
    return {
        "xpack.security.enabled": True,
        "xpack.security.autoconfiguration.enabled": False,
        f"{realms}.file.file1.order": 0,
        f"{realms}.native.native1.order": 1,
        f"{realms}.native.native1.enabled": False,
        **{f"xpack.security.http.ssl.{key}": value for key, value in ssl.items()},
        **{f"xpack.security.transport.ssl.{key}": value for key, value in ssl.items()},
        "xpack.security.transport.ssl.verification_mode": "full",
        "xpack.security.transport.ssl.client_authentication": "required",
    }


def _tls(place: Place, node: str) -> dict[str, Any]:
    certificate, key = place.certificate(node)
    return {
        "enabled": True,
        "certificate": str(certificate),
        "key": str(key),
        "certificate_authorities": [str(place.ca_file)],
        "supported_protocols": ["TLSv1.3"],
    }


def _write_users(config: Path, passwords: Mapping[str, str], roles: Mapping[str, Collection[str]]) -> None:
    # Roles first: a node that reads in between knows no user without roles for longer than one round of its watcher.
    _amend(config / "users_roles", lambda text: file_realm.users_roles(text, roles))
    _amend(config / "users", lambda text: file_realm.users(text, passwords))


def _amend(path: Path, change: Callable[[str], str]) -> None:
    before = path.read_text() if path.exists() else ""
    if (after := change(before)) != before:
        _replace(path, after)


def _replace(path: Path, text: str) -> None:
    """Whole or not at all: a running node rereads some of these files at any moment. Mode 0600."""
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
