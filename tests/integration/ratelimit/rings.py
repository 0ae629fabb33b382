"""One ring and its limits, as the tests of rings use them."""

import pytest

from steward.ratelimit import Cost, Limits, Policy, Ring
from steward.ratelimit.errors import LimitReached

RING, LIMITS, POLICY = Ring("openai:main:gpt"), Limits(100, 10_000, 5_000), Policy()
#: 60 seconds, 2 for the dispatch and one more.
RING_SECONDS = 63
USUAL = Cost(1, 100, 10)


def reserve(limiter, cost=USUAL, tenant="acme", limits=LIMITS, policy=POLICY):
    return limiter.reserve(RING, limits, policy, tenant, cost)


def denied(limiter, *args, **kwargs) -> LimitReached:
    with pytest.raises(LimitReached) as caught:
        reserve(limiter, *args, **kwargs)
    return caught.value
