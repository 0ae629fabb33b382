"""A Redis cluster: `redis-1` … `redis-6`, three masters and a replica of each, as on three hosts.

TLS 1.3 for clients, replication and bus where the program has it; users of least privilege, `default` off.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from replica.server import NotReady, Place, Program, Server
from replica.servers import redis_configuration, redis_nodes, redis_program

_SECONDS = 2
# In node timeouts: how long after an election its shard stays as it is. Redis 7.0 counts the votes of an election for two
# of them: a replica that is needed again in that time takes itself for elected, in an epoch that nobody heeds, and the
# shard stays without a master. One that is lost right after the switch is missed one later, so waiting one makes it two.
_PAUSE = 1
# And how long a switch is asked for: Redis lets four pass between two elections of one node.
_PATIENCE = 6
_LOOK_SECONDS = 0.2


class Redis(Server):
    """One node. Ready means: it answers over its own port, the cluster covers every slot, a replica is in step."""

    port_names = ("redis", "bus")
    client_ports = ("redis",)

    def __init__(self, name: str) -> None:
        self.name = name
        self.peers = tuple(node for node in redis_nodes.NODES if node != name)

    def prepare(self, place: Place) -> None:
        """Configuration, users, certificate, and the plan of the cluster."""
        redis_configuration.write(place, self.name, redis_program.program(place))

    def program(self, place: Place) -> Program:
        """The server with the one file it reads; the digest has it started anew where what it reads has changed."""
        command = [str(redis_program.program(place).path), str(redis_configuration.path(place, self.name))]
        digest = {"STEWARD_CONFIGURATION": redis_configuration.digest(place, self.name)}
        return Program(command, environment=digest, directory=self.data(place))

    def probe(self, place: Place) -> str:
        """The node's own word on itself and the cluster, as the monitoring user."""
        program = redis_program.program(place)
        try:
            with _connect(place, self.name, "watch") as client:
                info = client.info()
                found = assess(info, _ask(client, "CLUSTER INFO"), self._slots(place, client))
        except (redis.RedisError, OSError) as error:
            raise NotReady(f"it does not answer: {error}") from None
        return f"{_product(info)}, {'TLS' if program.tls else f'without TLS ({program.remark})'}, {found}"

    def settle(self, place: Place) -> None:
        """A node that began as a master becomes one again, so that no host holds two of them.

        By a switch that loses nothing: its present master waits until it has caught up.
        """
        if self.name not in redis_nodes.MASTERS:
            return
        with _connect(place, self.name, "operator") as client:
            if _ask(client, "ROLE")[0] == "master":
                return
            node_timeout_seconds = redis_configuration.NODE_TIMEOUT_MILLISECONDS / 1000
            time.sleep(_PAUSE * node_timeout_seconds)
            deadline = time.monotonic() + _PATIENCE * node_timeout_seconds
            while _ask(client, "ROLE")[0] != "master" and time.monotonic() < deadline:
                # Refused where it became a master meanwhile, or its own master is being replaced: the next look tells.
                with contextlib.suppress(redis.ResponseError):
                    _ask(client, "CLUSTER FAILOVER")
                time.sleep(_LOOK_SECONDS)

    def _slots(self, place: Place, client: redis.Redis) -> int:
        mine = place.port(self.name, "redis")
        ranges = _ask(client, "CLUSTER SLOTS")
        return sum(last - first + 1 for first, last, (_, port, *_), *_ in ranges if port == mine)

    def data(self, place: Place) -> Path:
        """AOF, RDB and the cluster's state of this node."""
        return redis_configuration.data(place, self.name, redis_program.program(place))

    def settings(self, place: Place) -> Mapping[str, Any]:
        """The whole cluster, told once by its first node."""
        if self.name != redis_nodes.NODES[0]:
            return {}
        redis_program.remember_choice(place)
        program = redis_program.program(place)
        told: dict[str, Any] = {
            "hosts": [f"{program.scheme}://{_client_address(place, node)}" for node in redis_nodes.NODES],
            "users": {
                user: {"username": user, "password": place.secret_ref(redis_configuration.secret(user))}
                for user in redis_configuration.USERS
            },
        }
        if program.tls:
            told["ca_file"] = str(place.ca_file)
        if place.proxied:
            told["reached_at"] = {
                f"127.0.0.1:{place.port(node, 'redis')}": _client_address(place, node) for node in redis_nodes.NODES
            }
        return {"redis": told}


def assess(info: Mapping[str, Any], cluster: Mapping[str, str], held_slots: int) -> str:
    """A node's INFO and CLUSTER INFO in a few words; NotReady where the cluster or the node is not whole."""
    if cluster["cluster_state"] != "ok":
        covered = cluster["cluster_slots_ok"]
        raise NotReady(f"the cluster is {cluster['cluster_state']}: {covered} of {redis_nodes.SLOTS} slots are served")
    if (nodes := int(cluster["cluster_known_nodes"])) != len(redis_nodes.NODES):
        raise NotReady(f"it knows {nodes} nodes, expected {len(redis_nodes.NODES)}")
    if info["role"] == "master":
        return f"master, {held_slots} slots"
    if info["master_link_status"] != "up":
        raise NotReady("it has not caught up with its master yet")
    return "replica, in step"


def _ask(client: redis.Redis, command: str) -> Any:
    return client.execute_command(command)


def _product(info: Mapping[str, Any]) -> str:
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}"
    return f"Redis {info['redis_version']}"


def _client_address(place: Place, node: str) -> str:
    return f"127.0.0.1:{place.client_port(node, 'redis')}"


def _connect(place: Place, node: str, user: str) -> redis.Redis:
    options: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": place.port(node, "redis"),
        "username": user,
        "password": place.secret(redis_configuration.secret(user)),
        "socket_timeout": _SECONDS,
        "socket_connect_timeout": _SECONDS,
        "decode_responses": True,
        "driver_info": None,
        # Whoever probes asks again anyway, and has 5 s for it.
        "retry": Retry(NoBackoff(), 0),
    }
    if redis_program.program(place).tls:
        options["connection_class"] = _within(place.ca_file)
    return redis.Redis.from_pool(redis.ConnectionPool(**options))


@lru_cache
def _within(ca_file: Path) -> type[redis.SSLConnection]:
    # redis-py's own reads every public CA for each connection, beside the one it is given: 84 ms instead of 2.
    context = ssl.create_default_context(cafile=ca_file)

    class Connection(redis.SSLConnection):
        def _wrap_socket_with_ssl(self, sock: socket.socket) -> ssl.SSLSocket:
            return context.wrap_socket(sock, server_hostname=self.host)

    return Connection


REDIS: tuple[Server, ...] = tuple(Redis(node) for node in redis_nodes.NODES)
