"""What is said to Redis's functions and what their answers mean; no network here, so sync and async say the same.

Every call is (function, keys, arguments); all keys are in one slot. The functions themselves: `lua/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from steward.ratelimit.errors import LimiterUnavailable, LimitReached
from steward.ratelimit.headers import Observed
from steward.ratelimit.limits import Cost, Limits, Policy, Ring, demand_tenant
from steward.ratelimit.states import State
from steward.ratelimit.tickets import Ticket

#: The longest that a provider is left alone for one answer; what lasts longer is asked again then.
LONGEST_BLOCK_SECONDS = 600
#: Each `why` of a denial, as people read it.
_WHY = {
    "limit": "{ring} has no {dimension} left for this request",
    "share": "tenant {tenant} has its share of {dimension} of {ring}",
    "turn": "{ring} has room, and another tenant was waiting for it",
    "starting": "{ring} starts exhausted: what was used before is not known",
    "throttled": "the provider asked to leave {ring} alone",
    "shrunk": "this request is above what may be used of {dimension} of {ring} since the provider told of less",
}


class Call(NamedTuple):
    """One call of a function."""

    function: str
    keys: tuple[str, ...]
    args: tuple[str | int | float, ...]


class Granted(NamedTuple):
    """The second that the reservation counts in, and the ring's life."""

    bucket: int
    epoch: str


class Wanted(NamedTuple):
    """What somebody wants to reserve."""

    ring: Ring
    limits: Limits
    policy: Policy
    tenant: str
    cost: Cost
    weight: float = 1.0


def reserve(wanted: Wanted) -> Call:
    """Raises NeverFits and ImpossibleLimits, before Redis is asked."""
    ring, limits, policy, tenant, cost, weight = wanted
    demand_tenant(tenant, weight)
    limits.demand_room_for(cost, policy.tenant_share)
    keys = (ring.key(), ring.key("queue"), ring.key("seen"), ring.key("tenant", tenant))
    kept = (policy.window_seconds, policy.ring_seconds, int(policy.start == "exhausted"))
    return Call(
        "steward_limit_reserve", keys, (*kept, *cost.counts, *_counts(limits), policy.tenant_share, weight, tenant)
    )


def granted(answer: Sequence[Any], wanted: Wanted) -> Granted:
    """What `reserve` answered. Raises LimitReached."""
    match [_text(each) for each in answer]:
        case ["1", bucket, epoch]:
            return Granted(int(bucket), epoch)
        case ["0", wait_ms, why, dimension] if why in _WHY:
            raise _denied(wanted, int(wait_ms) / 1000, why, dimension)
        case _:
            raise _strange(answer)


def _denied(wanted: Wanted, seconds: float, why: str, dimension: str) -> LimitReached:
    told = _WHY[why].format(ring=wanted.ring.name, tenant=wanted.tenant, dimension=dimension.replace("_", " "))
    return LimitReached(
        told, retry_after_seconds=seconds, dimension=dimension, why=why, hint=f"ask again in {seconds:.3g} s"
    )


def settle(ticket: Ticket, actual: Cost) -> Call:
    """May be said twice; it counts once."""
    keys = (ticket.ring.key(), ticket.ring.key("tenant", ticket.tenant), ticket.ring.key("done", str(ticket.bucket)))
    told = (ticket.bucket, ticket.epoch, ticket.id, *ticket.cost.counts, *actual.counts, *_counts(ticket.limits))
    return Call("steward_limit_settle", keys, (*told, ticket.weight))


def throttled(ring: Ring, retry_after_seconds: float) -> Call:
    """A 429 that no reservation explains."""
    # Written so that NaN is no block at all.
    seconds = min(retry_after_seconds, LONGEST_BLOCK_SECONDS) if retry_after_seconds > 0 else 0.0
    return Call("steward_limit_throttled", (ring.key(),), (round(seconds * 1000),))


def observe(ring: Ring, observed: Observed) -> Call:
    """What a provider told of its limits."""
    return Call("steward_limit_observe", (ring.key(),), (round(observed.age_seconds * 1000), *observed.numbers))


def show(ring: Ring, limits: Limits | None) -> Call:
    """Changes nothing."""
    return Call("steward_limit_show", (ring.key(), ring.key("queue")), _counts(limits) if limits else (-1,) * 4)


def state(answer: Sequence[Any]) -> State:
    """What `show` answered."""
    words = [_text(each) for each in answer]
    if not words:
        return State(known=False)
    told = dict(zip(words[::2], words[1::2], strict=True))
    names = ("requests", "input_tokens", "output_tokens", "tokens")
    allowed = [None if limit.startswith("-") else int(limit) for limit in told["allowed"].split()]
    return State(
        known=True,
        stale=told["stale"] == "1",
        window_seconds=int(told["window"]),
        ring_seconds=int(told["length"]),
        used=Cost(*map(int, told["used"].split())),
        allowed=dict(zip(names, allowed, strict=True)),
        factor=float(told["factor"]),
        opens_in_seconds=int(told["opens_ms"]) / 1000,
        blocked_seconds=int(told["blocked_ms"]) / 1000,
        waiting=int(told["waiting"]),
    )


def _counts(limits: Limits) -> tuple[int, ...]:
    return tuple(-1 if limit is None else limit for limit in limits.by_name.values())


def _text(word: object) -> str:
    return word.decode() if isinstance(word, bytes) else str(word)


def _strange(answer: Sequence[Any]) -> LimiterUnavailable:
    return LimiterUnavailable(
        f"Redis answered {len(answer)} values that are no answer to a reservation",
        hint="another release's functions are loaded; run `python -m steward limits load` of this one",
    )
