"""A Redis cluster under test, as its own users and as the one who may do all."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from replica import inventory, start
from replica.server import Place
from replica.servers import SERVERS, redis_nodes, redis_program
from steward.clients import redis_tls
from steward.clients.redis import RedisCluster, asked, open_redis
from steward.clients.redis_errors import RedisUnavailable
from steward.settings import Settings, load

#: Far above what anything here takes; only a hung server is waited for.
_PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Ground:
    """One replica whose cluster is up."""

    place: Place

    @property
    def settings(self) -> Settings:
        return load(inventory.settings_file(self.place))

    @property
    def tls(self) -> bool:
        return redis_program.program(self.place).tls

    def up(self, *, proxied: bool | None = None) -> Place:
        """Mend what a test damaged."""
        return start.up(self.place.state, SERVERS, ["redis-1"], proxied=proxied)

    def node(self, port: int) -> str:
        """Which of the nodes has *port*."""
        return next(node for node in redis_nodes.NODES if self.place.port(node, "redis") == port)

    def master_of(self, client: RedisCluster, key: str) -> str:
        """The node that *client* would ask for *key*."""
        return self.node(client.get_node_from_key(key).port)

    @contextlib.contextmanager
    def connected(self, node: str, **login: str) -> Generator[redis.Redis]:
        """*node* itself, as whoever *login* says; tried once."""
        options = {"port": self.place.port(node, "redis"), "decode_responses": True, "driver_info": None, **login}
        if self.tls:
            options["connection_class"] = redis_tls.connection_class(redis_tls.trusting(self.settings.redis))
        pool = redis.ConnectionPool(retry=Retry(NoBackoff(), 0), **options)
        with redis.Redis.from_pool(pool) as client:
            yield client

    def told(self, node: str, *command: str) -> Any:
        """*node*'s answer to the one who may do all and stands in no settings."""
        with self.connected(node, username="admin", password=self.place.secret("redis.admin")) as client:
            return client.execute_command(*command)


def eventually(look: Callable[[], Any]) -> Any:
    """The first true answer of *look*; one that Redis cannot give yet is asked for again."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        with contextlib.suppress(RedisUnavailable):
            if found := look():
                return found
        assert time.monotonic() < deadline, f"{look.__name__} did not come true"
        time.sleep(0.05)


@contextlib.contextmanager
def as_gateway(ground: Ground, *, timeout_seconds: float = 2.0) -> Generator[RedisCluster]:
    with open_redis(ground.settings, "gateway", timeout_seconds=timeout_seconds) as client:
        yield client


def roles(ground: Ground) -> dict[str, tuple[set[str], int]]:
    """By master, its replicas, as the cluster itself tells them, and how many slots it has."""
    told = ground.told("redis-2", "CLUSTER NODES")
    names = {each["node_id"]: ground.node(int(address.rpartition(":")[2])) for address, each in told.items()}
    replicas = {names[each["node_id"]]: names[each["master_id"]] for each in told.values() if each["master_id"] != "-"}
    return {
        names[each["node_id"]]: (
            {replica for replica, master in replicas.items() if master == names[each["node_id"]]},
            sum(int(last) - int(first) + 1 for first, last in each["slots"]),
        )
        for each in told.values()
        if "master" in each["flags"]
    }


def changed(ground: Ground, **values: Any) -> Settings:
    """Its settings with other *values* in their part of Redis."""
    settings = ground.settings
    described = type(settings.redis).model_validate({**settings.redis.model_dump(), **values})
    return settings.model_copy(update={"redis": described})


def offset(ground: Ground, node: str) -> int:
    """How far *node*, redis-6 or its master, has come in what is replicated."""
    return ground.told(node, "INFO", "replication")["slave_repl_offset" if node == "redis-6" else "master_repl_offset"]


def answer(ground: Ground, client: RedisCluster, key: str) -> str:
    """The gateway's value of *key*, or an error in words."""
    with asked(ground.settings, "gateway").in_words():
        return client.get(key)
