"""Connections to Redis that trust the CA of the settings and no other.

redis-py adds that CA to the system's, so whoever has a certificate of any public authority could stand in for a server;
and it reads all of them again for every connection, which is measured at 84 ms against 2 ms.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any

from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.asyncio.connection import SSLConnection as AsyncSSLConnection
from redis.connection import SSLConnection

from steward.errors import BadInput
from steward.settings import Redis


def trusting(described: Redis) -> ssl.SSLContext:
    """TLS that trusts the CA of *described*; the system's where none is named."""
    if described.ca_file and not described.ca_file.is_file():
        raise BadInput(f"no CA file {described.ca_file}", hint="let redis.ca_file name the CA of the cluster, in PEM")
    try:
        return ssl.create_default_context(cafile=described.ca_file)
    except ssl.SSLError:
        raise BadInput(f"{described.ca_file} holds no certificate", hint="redis.ca_file is in PEM") from None


def connection_class(context: ssl.SSLContext) -> type[SSLConnection]:
    """Connections within *context*."""

    class Connection(SSLConnection):
        def _wrap_socket_with_ssl(self, sock: socket.socket) -> ssl.SSLSocket:
            return context.wrap_socket(sock, server_hostname=self.host)

    return Connection


def use(client: AsyncRedisCluster, context: ssl.SSLContext) -> None:
    """Let *client*, which has not connected yet, do so within *context*: it takes no such thing as an argument."""

    class Connection(AsyncSSLConnection):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.ssl_context.context = context

    client.connection_kwargs["connection_class"] = Connection
    for node in client.nodes_manager.startup_nodes.values():
        node.connection_class = Connection
