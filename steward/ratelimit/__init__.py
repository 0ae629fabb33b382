"""Limits on requests and tokens that hold in any rolling window, shared by every process through Redis.

    ticket = limiter.acquire(ring, limits, policy, "acme", Cost(1, 900, 500), patience_seconds=5)
    ticket.send()                                        # right before the first byte
    ...
    limiter.settle(ticket, Cost(1, 874, 112))            # what it used in truth

Open a limiter with `steward.clients.ratelimit`. docs/ratelimit.md has the guarantees, and what is not promised.
"""

from steward.ratelimit.headers import Observed, Seen, observed, retry_after_seconds
from steward.ratelimit.limiter import AsyncLimiter, Limiter
from steward.ratelimit.limits import INBOUND, Cost, Limits, Policy, Ring
from steward.ratelimit.states import State
from steward.ratelimit.tickets import Ticket

__all__ = [
    "INBOUND",
    "AsyncLimiter",
    "Cost",
    "Limiter",
    "Limits",
    "Observed",
    "Policy",
    "Ring",
    "Seen",
    "State",
    "Ticket",
    "observed",
    "retry_after_seconds",
]
