"""What a caller's key lets each of its tenants ask for in a minute: a limit of ours, before any provider's."""

from __future__ import annotations

from urllib.parse import quote

from services.gateway.callers import Caller
from services.gateway.errors import Fault, unavailable
from steward.ratelimit import AsyncLimiter, Cost, Limits, Ring
from steward.ratelimit.errors import LimiterUnavailable, LimitReached
from steward.ratelimit.limits import INBOUND


async def demand_room(limiter: AsyncLimiter, caller: Caller) -> None:
    """Raises Fault 429, which says when to come back, and 503 where nobody knows."""
    if caller.requests is None:
        return
    ring = Ring(f"inbound:{quote(caller.key_id, safe='')}:{quote(caller.tenant, safe='')}")
    try:
        await limiter.reserve(ring, Limits(caller.requests), INBOUND, caller.tenant, Cost())
    except LimitReached as limit:
        raise Fault(
            429, "limited", "this tenant's requests of the minute are used up", limit.retry_after_seconds
        ) from None
    except LimiterUnavailable:
        raise unavailable("nobody knows what is left of this tenant's limit") from None
