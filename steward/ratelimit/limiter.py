"""Reserve, send, settle: the limiter, for threads and for the event loop.

Both say the same to Redis (`wire.py`) and differ in how they wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

from steward.ratelimit import wire
from steward.ratelimit.errors import LimitReached
from steward.ratelimit.headers import Observed
from steward.ratelimit.limits import NOTHING, Cost, Limits, Policy, Ring
from steward.ratelimit.patience import pause_seconds
from steward.ratelimit.states import State
from steward.ratelimit.tickets import Clock, Ticket
from steward.ratelimit.wire import Wanted


class Caller(Protocol):
    """Calls a function of Redis. Raises LimiterUnavailable, whatever is wrong: there is no second opinion."""

    def __call__(self, function: str, keys: Sequence[str], args: Sequence[str | int | float]) -> Sequence[Any]: ...


class AsyncCaller(Protocol):
    """The same, awaited."""

    def __call__(
        self, function: str, keys: Sequence[str], args: Sequence[str | int | float]
    ) -> Awaitable[Sequence[Any]]: ...


class _Asking:
    """One request that wants a ticket. Each time it asks, the moment is taken before: a late answer is a dead ticket."""

    def __init__(self, clock: Clock, wanted: Wanted) -> None:
        self._call, self._wanted = wire.reserve(wanted), wanted
        self._clock, self._dies_at = clock, 0.0

    def call(self) -> wire.Call:
        self._dies_at = self._clock() + self._wanted.policy.ticket_seconds
        return self._call

    def ticket(self, answer: Sequence[Any]) -> Ticket:
        wanted = self._wanted
        bucket, epoch = wire.granted(answer, wanted)
        return Ticket(
            wanted.ring,
            wanted.tenant,
            wanted.cost,
            wanted.limits,
            wanted.weight,
            bucket,
            epoch,
            self._dies_at,
            self._clock,
        )


class Limiter:
    """Limits that hold for every process that shares the Redis behind *call*. Threads may share one."""

    def __init__(self, call: Caller, *, clock: Clock = time.monotonic) -> None:
        self._call, self._clock = call, clock

    def reserve(
        self, ring: Ring, limits: Limits, policy: Policy, tenant: str, cost: Cost, *, weight: float = 1.0
    ) -> Ticket:
        """A ticket for one request of at most *cost*.

        Raises LimitReached, which says when to ask again, NeverFits, and LimiterUnavailable where nobody knows.
        """
        asking = _Asking(self._clock, Wanted(ring, limits, policy, tenant, cost, weight))
        return asking.ticket(self._call(*asking.call()))

    def acquire(
        self,
        ring: Ring,
        limits: Limits,
        policy: Policy,
        tenant: str,
        cost: Cost,
        *,
        patience_seconds: float,
        weight: float = 1.0,
    ) -> Ticket:
        """As `reserve`, and waits for room. Raises LimitReached when there is none after *patience_seconds*, or surely none till then."""
        asking = _Asking(self._clock, Wanted(ring, limits, policy, tenant, cost, weight))
        until = self._clock() + patience_seconds
        while True:
            try:
                return asking.ticket(self._call(*asking.call()))
            except LimitReached as denied:
                pause = pause_seconds(denied, until - self._clock())
                if pause is None:
                    raise
            time.sleep(pause)

    def settle(self, ticket: Ticket, actual: Cost) -> None:
        """Give back what *ticket* did not use; what it used beyond its cost becomes debt. May be said twice."""
        self._call(*wire.settle(ticket, ticket.used(actual)))

    def cancel(self, ticket: Ticket) -> None:
        """Give back a ticket that was not sent. Of one that was sent nothing comes back, for nobody knows what it used."""
        if not ticket.sent:
            self.settle(ticket, NOTHING)

    def throttled(self, ring: Ring, retry_after_seconds: float) -> None:
        """The provider answered 429 although there was room: leave it alone, and take less for a while."""
        self._call(*wire.throttled(ring, retry_after_seconds))

    def observe(self, ring: Ring, observed: Observed) -> None:
        """Take over what a provider's answer told of its limits and of others' use."""
        self._call(*wire.observe(ring, observed))

    def show(self, ring: Ring, limits: Limits | None = None) -> State:
        """What the ring looks like now; changes nothing. With *limits*, what may be used of them."""
        return wire.state(self._call(*wire.show(ring, limits)))


class AsyncLimiter:
    """As `Limiter`, for the event loop."""

    def __init__(self, call: AsyncCaller, *, clock: Clock = time.monotonic) -> None:
        self._call, self._clock = call, clock

    async def reserve(
        self, ring: Ring, limits: Limits, policy: Policy, tenant: str, cost: Cost, *, weight: float = 1.0
    ) -> Ticket:
        """As `Limiter.reserve`."""
        asking = _Asking(self._clock, Wanted(ring, limits, policy, tenant, cost, weight))
        return asking.ticket(await self._call(*asking.call()))

    async def acquire(
        self,
        ring: Ring,
        limits: Limits,
        policy: Policy,
        tenant: str,
        cost: Cost,
        *,
        patience_seconds: float,
        weight: float = 1.0,
    ) -> Ticket:
        """As `Limiter.acquire`."""
        asking = _Asking(self._clock, Wanted(ring, limits, policy, tenant, cost, weight))
        until = self._clock() + patience_seconds
        while True:
            try:
                return asking.ticket(await self._call(*asking.call()))
            except LimitReached as denied:
                pause = pause_seconds(denied, until - self._clock())
                if pause is None:
                    raise
            await asyncio.sleep(pause)

    async def settle(self, ticket: Ticket, actual: Cost) -> None:
        """As `Limiter.settle`."""
        await self._call(*wire.settle(ticket, ticket.used(actual)))

    async def cancel(self, ticket: Ticket) -> None:
        """As `Limiter.cancel`."""
        if not ticket.sent:
            await self.settle(ticket, NOTHING)

    async def throttled(self, ring: Ring, retry_after_seconds: float) -> None:
        """As `Limiter.throttled`."""
        await self._call(*wire.throttled(ring, retry_after_seconds))

    async def observe(self, ring: Ring, observed: Observed) -> None:
        """As `Limiter.observe`."""
        await self._call(*wire.observe(ring, observed))

    async def show(self, ring: Ring, limits: Limits | None = None) -> State:
        """As `Limiter.show`."""
        return wire.state(await self._call(*wire.show(ring, limits)))
