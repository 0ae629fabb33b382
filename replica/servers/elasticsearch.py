"""Elasticsearch: three nodes `es-1` … `es-3` of cluster `production`, and `scratch`, where restores happen.

TLS 1.3 on HTTP and transport, X-Pack security, users of the file realm with one role each.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from replica.elasticsearch import api, archive, configuration, home
from replica.elasticsearch.clusters import HAND, PRODUCTION, SCRATCH, Cluster
from replica.server import NotReady, Place, Program, Server, python

REPOSITORY = "nightly"
# 400 MB carried every drill and 100,000s of documents; four nodes then stay under 3 GB resident.
_HEAP_MEGABYTES = 400


class ElasticsearchNode(Server):
    """One node. Ready means: its whole cluster has joined and has every shard it needs to answer."""

    port_names = ("http", "transport")
    client_ports = ("http",)

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.name, self.peers = cluster, name, cluster.nodes

    def install(self, cache: Path) -> None:
        """The home from its locked jars, and the archive for fast starts."""
        laid_out = home.ensure(cache)
        # Once a cluster and not once a node: where it cannot be recorded, each attempt costs half a minute.
        if self._is_first():
            archive.ensure(laid_out)

    def prepare(self, place: Place) -> None:
        """Configuration, certificates and users; roles only where there are none."""
        configuration.write(place, self.cluster, self.name)

    def program(self, place: Place) -> Program:
        """A virtual machine of its own for every node: one can be killed or frozen alone."""
        command = [python(), "-m", "replica.elasticsearch.node", str(home.path(place.cache))]
        command += [str(configuration.folder(place, self.name)), f"--heap-megabytes={_HEAP_MEGABYTES}"]
        # The one variable of Elasticsearch's own launcher that is passed on: a bench asks for the second compiler by it.
        chosen = {name: os.environ[name] for name in ("ES_JAVA_OPTS",) if name in os.environ}
        return Program(command, environment=chosen, directory=place.folder(self.name))

    def probe(self, place: Place) -> str:
        """Health, asked at this very node as the monitoring user over verified TLS."""
        monitoring = api.connect(place, self.cluster, self.name, "monitoring")
        try:
            health = monitoring.call("GET", "/_cluster/health?timeout=1s&master_timeout=1s")
        except (OSError, api.Refused) as error:
            raise NotReady(_in_words(error)) from None
        return assess(health, expected_nodes=len(self.cluster.nodes))

    def settle(self, place: Place) -> None:
        """Repository `nightly`: registered where it is absent, read-only on scratch; one that is there is left alone.

        A repository that Elasticsearch marked as corrupted must not be registered anew: that would hide it.
        """
        if not self._is_first():
            return
        hand = api.connect(place, self.cluster, self.name, HAND)
        try:
            hand.call("GET", f"/_snapshot/{REPOSITORY}")
        except api.Refused as absent:
            if absent.status != 404:  # noqa: PLR2004 -- HTTP's own number for absent
                raise
            hand.call("PUT", f"/_snapshot/{REPOSITORY}", _repository(self.cluster), timeout_seconds=30)

    def data(self, place: Place) -> Path:
        """Shards and cluster state of this node."""
        return place.folder(self.name) / "data"

    def settings(self, place: Place) -> Mapping[str, Any]:
        """The whole cluster, told once by its first node; and where its repository lies, as this machine sees it."""
        if not self._is_first():
            return {}
        return {"search": {self.cluster.name: _settings(place, self.cluster)}, "snapshots": _snapshots(place)}

    def _is_first(self) -> bool:
        return self.name == self.cluster.nodes[0]


def assess(health: Mapping[str, Any], expected_nodes: int) -> str:
    """`_cluster/health` in a few words; NotReady where nodes or primaries are missing."""
    seen = health["number_of_nodes"]
    if seen != expected_nodes:
        raise NotReady(f"{seen} of {expected_nodes} nodes have joined")
    if health["status"] == "red":
        lost = health["unassigned_primary_shards"]
        raise NotReady(f"red: {lost} primary shards have no node" if lost else "red: its state is not recovered yet")
    nodes = "1 node" if seen == 1 else f"{seen} nodes"
    return f"{health['status']}, {nodes}, {health['active_shards']} shards"


def _in_words(error: OSError | api.Refused) -> str:
    if isinstance(error, api.Refused):
        return f"it answers {error}"
    return f"it does not answer: {getattr(error, 'reason', error)}"


def _repository(cluster: Cluster) -> dict[str, Any]:
    """As `deployments` renders it, so that provisioning finds nothing to change. Its location is below `path.repo`."""
    return json.loads((resources.files("deployments") / "elasticsearch" / cluster.repository_file).read_text())


def _settings(place: Place, cluster: Cluster) -> dict[str, Any]:
    users = {name: {"username": name, "password": place.secret_ref(cluster.secret(name))} for name in cluster.users}
    return {
        "hosts": [f"https://127.0.0.1:{place.client_port(node, 'http')}" for node in cluster.nodes],
        "ca_file": str(place.ca_file),
        "users": users,
        "role_files": [str(configuration.folder(place, node) / "roles.yml") for node in cluster.nodes],
    }


def _snapshots(place: Place) -> dict[str, Any]:
    return {
        "repositories": {REPOSITORY: {"kind": "fs", "path": str(configuration.repository(place))}},
        "staging": {"kind": "fs", "path": str(configuration.staging(place))},
    }


ELASTICSEARCH: tuple[Server, ...] = (
    *(ElasticsearchNode(PRODUCTION, node) for node in PRODUCTION.nodes),
    *(ElasticsearchNode(SCRATCH, node) for node in SCRATCH.nodes),
)
