"""What all workers have seen of each route lately, shared in Redis once a second and read from memory in between."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Self, cast

from redis import exceptions

from services.gateway.metrics import Metrics
from steward.ai.health import PROBE_SECONDS, WINDOW, Door, Health, Seen, assess, slice_of
from steward.clients.redis import AsyncRedisCluster
from steward.stopping import stop

SHARE_SECONDS = 1.0
_KINDS = {"a": "answered", "f": "failed", "t": "first_token_ms"}
#: The second is no kind of the first.
_AWAY = (exceptions.RedisError, exceptions.RedisClusterException)

_log = logging.getLogger(__name__)


class HealthBoard:
    """Of the routes that the catalog names. Without Redis each worker goes by what it saw last: nothing is refused for it."""

    def __init__(self, redis: AsyncRedisCluster, routes: Iterable[str], metrics: Metrics) -> None:
        self._redis, self._routes, self._metrics = redis, tuple(sorted(set(routes))), metrics
        self._unshared: dict[str, Counter[str]] = {}
        self._now: dict[str, Health] = {}
        self._asked_at: dict[str, float] = {}
        self._ahead = time.time() - time.monotonic()
        self._sharing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._sharing = asyncio.create_task(self._share_for_ever(), name="health")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._sharing:
            await stop(self._sharing)

    @property
    def now(self) -> Mapping[str, Health]:
        """By route; one that nobody used lately is not in it."""
        return self._now

    def answered(self, route: str, first_token_ms: int) -> None:
        """It did what it should."""
        self._add(route, a=1, t=first_token_ms)

    def failed(self, route: str) -> None:
        """It did not, for no fault of the caller's or of ours."""
        self._add(route, f=1)

    async def may_probe(self, route: str) -> bool:
        """Whether this worker is the one that looks at a shut route in this second. It asks the others once a second."""
        if time.monotonic() < self._asked_at.get(route, 0.0) + PROBE_SECONDS:
            return False
        self._asked_at[route] = time.monotonic()
        try:
            key = f"gateway:{{{route}}}:probe"
            return bool(await self._redis.set(key, 1, nx=True, px=int(PROBE_SECONDS * 1000)))
        except _AWAY:
            return False

    def _add(self, route: str, **counts: int) -> None:
        number = slice_of(self._time())
        self._unshared.setdefault(route, Counter()).update({f"{number}:{kind}": n for kind, n in counts.items()})

    def _time(self) -> float:
        """Redis's: workers whose own clocks differ would each look at slices of their own, and take away others'."""
        return self._ahead + time.monotonic()

    async def _read_time(self) -> None:
        node = self._redis.get_node_from_key(self._routes[0])
        seconds, microseconds = cast("list[Any]", await self._redis.execute_command("TIME", target_nodes=node))
        self._ahead = int(seconds) + int(microseconds) / 1e6 - time.monotonic()

    async def _share_for_ever(self) -> None:
        while True:
            try:
                await self._read_time()
            except _AWAY as error:
                _log.warning("health goes by the time as it was: %s", type(error).__name__)
            for route in self._routes:
                try:
                    await self._share(route)
                except _AWAY as error:
                    _log.warning("the health of %s is not shared: %s", route, type(error).__name__)
            await asyncio.sleep(SHARE_SECONDS)

    async def _share(self, route: str) -> None:
        key, counts = f"gateway:{{{route}}}:health", self._unshared.pop(route, Counter())
        for field, count in counts.items():
            await self._redis.hincrby(key, field, count)
        if counts:
            await self._redis.expire(key, 2 * WINDOW)
        told = cast("dict[str, Any]", await self._redis.hgetall(key))
        now = self._time()
        health = self._now[route] = assess(_seen(told), now)
        self._metrics.route(route, health.score, is_shut=health.door is Door.SHUT)
        if old := [field for field in told if int(field.partition(":")[0]) < slice_of(now - WINDOW)]:
            await self._redis.hdel(key, *old)


def _seen(told: Mapping[str, Any]) -> dict[int, Seen]:
    slices: dict[int, dict[str, int]] = {}
    for field, count in told.items():
        number, _, kind = field.partition(":")
        slices.setdefault(int(number), {})[_KINDS[kind]] = int(count)
    return {number: Seen(**counts) for number, counts in slices.items()}
