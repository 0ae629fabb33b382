"""The Redis cluster as one of its users.

A user is named by purpose (`limiter`, `gateway`, `operator`, `watch`) and may do nothing beyond it; docs/redis.md. Which
master holds a key the client learns from the cluster, and again when that has changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from redis._parsers import AsyncCommandsParser
from redis.asyncio.cluster import ClusterNode as AsyncClusterNode
from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.credentials import CredentialProvider
from redis.retry import Retry

from steward.clients import redis_tls
from steward.clients.redis_errors import Asked
from steward.clients.secrets import read_secret
from steward.errors import BadInput
from steward.settings import VARIABLE, Credentials, Redis, Settings, Vault

TIMEOUT_SECONDS = 2.0
#: Tries after the first. One finds the new master where the old one is gone; waiting for an election is the caller's.
RETRIES = 2

__all__ = ["RETRIES", "TIMEOUT_SECONDS", "AsyncRedisCluster", "RedisCluster", "asked", "open_async_redis", "open_redis"]


@contextmanager
def open_redis(
    settings: Settings, purpose: str, *, timeout_seconds: float = TIMEOUT_SECONDS, retries: int = RETRIES
) -> Generator[RedisCluster]:
    """The cluster as the user for *purpose*, for the block; its errors come out in words (`redis_errors`).

    Each connection and each answer may take *timeout_seconds*. A command is tried *retries* times more where no answer
    came: it may so be carried out twice, and has to stand that. A client may be shared by threads and outlives failovers.
    """
    described = _described(settings)
    options = _options(settings, purpose, timeout_seconds)
    if described.tls:
        options["connection_class"] = redis_tls.connection_class(redis_tls.trusting(described))
    with asked(settings, purpose).in_words():
        client = RedisCluster(
            # Given a URL, and one that says nothing of TLS, it takes the class of connections from us.
            url=described.hosts[0].replace("rediss://", "redis://"),
            startup_nodes=[ClusterNode(host, port) for host, port in _nodes(described)],
            retry=Retry(_backoff(), retries),
            **options,
        )
        try:
            yield client
        finally:
            client.disconnect_connection_pools()


@asynccontextmanager
async def open_async_redis(
    settings: Settings, purpose: str, *, timeout_seconds: float = TIMEOUT_SECONDS, retries: int = RETRIES
) -> AsyncGenerator[AsyncRedisCluster]:
    """As `open_redis`, for one event loop."""
    described = _described(settings)
    options = _options(settings, purpose, timeout_seconds)
    with asked(settings, purpose).in_words():
        client = AsyncRedisCluster(
            startup_nodes=[AsyncClusterNode(host, port) for host, port in _nodes(described)],
            retry=AsyncRetry(_backoff(), retries),
            ssl=described.tls,
            **options,
        )
        client.commands_parser = _CommandsReadOnce()
        if described.tls:
            redis_tls.use(client, redis_tls.trusting(described))
        try:
            yield await client.initialize()
        finally:
            await client.aclose()


def asked(settings: Settings, purpose: str) -> Asked:
    """Who asks whom. Whoever keeps a client longer than a block puts `.in_words()` around each of its questions."""
    described = _described(settings)
    first, *others = (urlsplit(host).netloc for host in described.hosts)
    return Asked(f"{first} and {len(others)} more" if others else first, _credentials(described, purpose).username)


def _described(settings: Settings) -> Redis:
    if settings.redis is None:
        raise BadInput("the settings tell of no Redis", hint=f"add [redis] to the file that {VARIABLE} names")
    return settings.redis


def _credentials(described: Redis, purpose: str) -> Credentials:
    if purpose not in described.users:
        raise BadInput(
            f"no user of Redis for purpose {purpose!r}; known: {', '.join(sorted(described.users))}",
            hint=f"add [redis.users.{purpose}] to the file that {VARIABLE} names",
        )
    return described.users[purpose]


def _nodes(described: Redis) -> list[tuple[str, int]]:
    return [_host_and_port(host.partition("://")[2]) for host in described.hosts]


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _backoff() -> ExponentialWithJitterBackoff:
    return ExponentialWithJitterBackoff(base=0.02, cap=0.2)


def _options(settings: Settings, purpose: str, timeout_seconds: float) -> dict[str, Any]:
    described = _described(settings)
    reader = _Passwords(_credentials(described, purpose), settings.vault)
    # Now, for what keeps a secret from being read is told better than by a cluster that cannot be reached.
    reader.get_credentials()
    return {
        "credential_provider": reader,
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "socket_keepalive": True,
        "decode_responses": True,
        # Slots of one lost shard must not keep anybody from the others.
        "require_full_coverage": False,
        "protocol": 2,
        "driver_info": None,
        **_remapped(described),
    }


def _remapped(described: Redis) -> dict[str, Any]:
    reached = {_host_and_port(told): _host_and_port(at) for told, at in described.reached_at.items()}
    return {"address_remap": lambda told: reached.get(told, told)} if reached else {}


@dataclass(frozen=True)
class _Passwords(CredentialProvider):
    """Asked at each new connection, so that a changed password needs no restart."""

    credentials: Credentials
    vault: Vault | None

    def get_credentials(self) -> tuple[str, str]:
        return self.credentials.username, read_secret(self.credentials.password, self.vault)

    async def get_credentials_async(self) -> tuple[str, str]:
        # A vault may take seconds, in which the loop has others to serve.
        return await asyncio.to_thread(self.get_credentials)


class _CommandsReadOnce(AsyncCommandsParser):
    """The table of commands, which tells where their keys are. It is long, and read anew each time the cluster is learned:
    40 ms of a processor for every question while a master is away, and so for every request of a busy gateway.
    """

    async def initialize(self, node: AsyncClusterNode | None = None) -> None:
        if not self.commands:
            await super().initialize(node)
