"""The limiter over the Redis cluster of the settings, and its functions on every master."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from redis import exceptions
from redis.cluster import ClusterNode

from steward.clients.redis import RETRIES, AsyncRedisCluster, RedisCluster, asked, open_async_redis, open_redis
from steward.clients.redis_errors import Asked, RedisCommandFailed, RedisRefused, RedisUnavailable
from steward.errors import StewardError
from steward.ratelimit.errors import LimiterNotLoaded, LimiterUnavailable
from steward.ratelimit.library import NAME, digest, source
from steward.ratelimit.limiter import AsyncLimiter, Limiter
from steward.settings import Settings

#: A ticket is counted from before Redis was asked: what is answered later than this is of no use to whoever sends.
TIMEOUT_SECONDS = 1.0
#: Lost in an answer that did not come, a reservation counts for a ring; a settlement counts once however often it is said.
_AGAIN = (exceptions.ConnectionError, exceptions.ClusterDownError)

_OPENING = (RedisUnavailable, RedisRefused, RedisCommandFailed)

Arguments = Sequence[str | int | float]


@contextmanager
def open_limiter(
    settings: Settings, purpose: str = "limiter", *, timeout_seconds: float = TIMEOUT_SECONDS
) -> Generator[Limiter]:
    """For the block. Threads may share it. Raises LimiterUnavailable when no host of the cluster answers."""
    with ExitStack() as opened:
        try:
            client = opened.enter_context(open_redis(settings, purpose, timeout_seconds=timeout_seconds))
        except _OPENING as error:
            raise _in_limiter_words(error) from None
        yield limiter_over(client, asked(settings, purpose))


@asynccontextmanager
async def open_async_limiter(
    settings: Settings, purpose: str = "limiter", *, timeout_seconds: float = TIMEOUT_SECONDS
) -> AsyncGenerator[AsyncLimiter]:
    """As `open_limiter`, for one event loop."""
    async with AsyncExitStack() as opened:
        try:
            client = await opened.enter_async_context(
                open_async_redis(settings, purpose, timeout_seconds=timeout_seconds)
            )
        except _OPENING as error:
            raise _in_limiter_words(error) from None
        yield async_limiter_over(client, asked(settings, purpose))


def limiter_over(client: RedisCluster, who: Asked) -> Limiter:
    """Over a client that is somebody else's to close."""
    return Limiter(_Caller(client, who))


def async_limiter_over(client: AsyncRedisCluster, who: Asked) -> AsyncLimiter:
    """Over a client that is somebody else's to close."""
    return AsyncLimiter(_AsyncCaller(client, who))


def load_functions(settings: Settings, purpose: str = "operator") -> dict[str, str]:
    """Put this release's functions onto every master, and say of each what was done. Harmless twice."""
    who = asked(settings, purpose)
    with open_redis(settings, purpose) as client, who.in_words():
        return {f"{node.host}:{node.port}": _load(client, node) for node in client.get_primaries()}


def _load(client: RedisCluster, node: ClusterNode) -> str:
    wanted = digest(source())
    there = _loaded(client.execute_command("FUNCTION LIST", "LIBRARYNAME", NAME, "WITHCODE", target_nodes=node))
    if there == wanted:
        return f"functions {wanted} are there already"
    client.execute_command("FUNCTION LOAD", "REPLACE", source(), target_nodes=node)
    return f"functions {wanted} loaded" + (f" in place of {there}" if there else "")


def _loaded(listed: Sequence[Any]) -> str | None:
    """The digest of what `FUNCTION LIST … WITHCODE` shows: pairs in a list, as RESP 2 has them."""
    for library in listed:
        fields = dict(zip(library[::2], library[1::2], strict=True))
        return digest(fields["library_code"])
    return None


@dataclass(frozen=True, slots=True)
class _Caller:
    client: RedisCluster
    who: Asked

    def __call__(self, function: str, keys: Sequence[str], args: Arguments) -> Sequence[Any]:
        for left in range(RETRIES, -1, -1):
            try:
                # To the node by the key we know: asked without one, the client would first ask a server for the keys.
                node = self.client.get_node_from_key(keys[0])
                return self.client.execute_command("FCALL", function, len(keys), *keys, *args, target_nodes=node)
            except (exceptions.RedisError, exceptions.RedisClusterException) as error:
                if not left or not isinstance(error, _AGAIN):
                    _tell(self.who, error)
        raise AssertionError


@dataclass(frozen=True, slots=True)
class _AsyncCaller:
    client: AsyncRedisCluster
    who: Asked

    async def __call__(self, function: str, keys: Sequence[str], args: Arguments) -> Sequence[Any]:
        for left in range(RETRIES, -1, -1):
            try:
                # Learns the cluster anew after an error, and does nothing otherwise.
                await self.client.initialize()
                node = self.client.get_node_from_key(keys[0])
                return await self.client.execute_command("FCALL", function, len(keys), *keys, *args, target_nodes=node)
            except (exceptions.RedisError, exceptions.RedisClusterException) as error:
                if not left or not isinstance(error, _AGAIN):
                    _tell(self.who, error)
        raise AssertionError


def _tell(who: Asked, error: Exception) -> NoReturn:
    raise _in_limiter_words(who.words(error)) from None


def _in_limiter_words(told: StewardError) -> LimiterUnavailable:
    if isinstance(told, RedisCommandFailed) and "Function not found" in told.answer:
        return LimiterNotLoaded(
            f"{told.message}: the limiter's functions are not there",
            hint="run `python -m steward limits load`; after a failover they are on the new master already",
        )
    unavailable = LimiterUnavailable(f"nobody knows what is left of the limit: {told.message}", hint=told.hint)
    unavailable.transient = told.transient
    return unavailable
