"""The files of one node. An unknown setting stops a node, so every one here is known to the described version."""

from __future__ import annotations

import json
from typing import Any

from steward.search.description import Node, SearchDescription, Size

HTTP_PORT = 9200
TRANSPORT_PORT = 9300

Setting = tuple[str, Any]


def elasticsearch_yml(description: SearchDescription, node: Node) -> str:
    """The node's `elasticsearch.yml`, one flat setting a line."""
    settings = [
        *_identity(description, node),
        *_discovery(description),
        *_security(description, node),
        *_repository(description),
    ]
    # A JSON value is a YAML value, and needs no rules of quoting of its own.
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in settings)


def heap_options(size: Size) -> str:
    """`jvm.options.d/heap.options`: least equals most, so the heap never has to grow while it is locked in memory."""
    return f"-Xms{size.heap_mib}m\n-Xmx{size.heap_mib}m\n"


def _identity(description: SearchDescription, node: Node) -> list[Setting]:
    return [
        ("cluster.name", description.cluster),
        ("node.name", node.name),
        ("node.roles", ["master", "data", "ingest"]),
        ("path.data", "/var/lib/elasticsearch"),
        ("path.logs", "/var/log/elasticsearch"),
        # A heap that is swapped out stalls the node until the others think it dead.
        ("bootstrap.memory_lock", True),
        ("network.host", node.host),
        ("http.port", HTTP_PORT),
        ("transport.port", TRANSPORT_PORT),
    ]


def _discovery(description: SearchDescription) -> list[Setting]:
    names = [node.name for node in description.nodes]
    # Named again on a later start, they could found a second cluster beside the first.
    initial = [("cluster.initial_master_nodes", names)] if description.first_start else []
    return [
        ("discovery.seed_hosts", [f"{node.host}:{TRANSPORT_PORT}" for node in description.nodes]),
        *initial,
        # After a full stop, shards are not rebuilt from copies while the node that holds them is still starting.
        ("gateway.expected_data_nodes", len(names)),
        ("gateway.recover_after_data_nodes", len(names) // 2 + 1),
        ("gateway.recover_after_time", "5m"),
    ]


def _security(description: SearchDescription, node: Node) -> list[Setting]:
    layers = [setting for layer in ("transport", "http") for setting in _tls(description, node, layer)]
    return [
        ("xpack.security.enabled", True),
        # Certificates and users are ours; the server shall not make others on its first start.
        ("xpack.security.autoconfiguration.enabled", False),
        ("xpack.security.authc.realms.file.file1.order", 0),
        ("xpack.security.authc.realms.native.native1.order", 1),
        *layers,
        # Nodes prove themselves to each other by certificate and name; clients by user and password.
        ("xpack.security.transport.ssl.client_authentication", "required"),
        ("xpack.security.transport.ssl.verification_mode", "full"),
    ]


def _tls(description: SearchDescription, node: Node, layer: str) -> list[Setting]:
    folder, prefix = description.tls.folder, f"xpack.security.{layer}.ssl"
    return [
        (f"{prefix}.enabled", True),
        (f"{prefix}.key", f"{folder}/{node.name}.key"),
        (f"{prefix}.certificate", f"{folder}/{node.name}.crt"),
        (f"{prefix}.certificate_authorities", [f"{folder}/ca.crt"]),
        (f"{prefix}.supported_protocols", [description.tls.protocol]),
    ]


def _repository(description: SearchDescription) -> list[Setting]:
    if description.repository.rendered == "fs":
        return [("path.repo", [description.repository.fs.path_repo])]
    s3 = description.repository.s3
    # The keys are no setting: they live in the node's keystore, or the machine's own role opens the bucket.
    endpoint = [("s3.client.default.endpoint", s3.endpoint)] if s3.endpoint else []
    return [("s3.client.default.region", s3.region), *endpoint]
