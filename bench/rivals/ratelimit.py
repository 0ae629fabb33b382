"""The other library's limiters under the same pressure: `python -m bench.rivals.ratelimit URL SECONDS`; answers JSON."""

# The rivals are not installed where types are checked.
# pyright: reportMissingImports=false, reportUnknownParameterType=false

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from itertools import repeat
from statistics import median
from typing import Any

from limits import RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter, SlidingWindowCounterRateLimiter

from bench.ratelimit_pressure import LIMIT, WINDOW_SECONDS, Pressure

STRATEGIES: dict[str, Any] = {"moving_log": MovingWindowRateLimiter, "sliding_counter": SlidingWindowCounterRateLimiter}
_CALLS = 1_000
#: A request of so many tokens, as a prompt has them.
_LARGE, _LARGE_CALLS = 30_000, 20


def main() -> None:
    """Each strategy alone for its latency, all at once under pressure."""
    url, seconds = sys.argv[1], float(sys.argv[2])
    limiters = {name: make(RedisStorage(url)) for name, make in STRATEGIES.items()}
    figures: dict[str, Any] = {"limits_version": version("limits")}
    for name, limiter in limiters.items():
        figures[f"limits_{name}_p50_ms"] = _p50_ms(limiter, name, 1, _CALLS)
        figures[f"limits_{name}_of_{_LARGE}_p50_ms"] = _p50_ms(limiter, name, _LARGE, _LARGE_CALLS)
    with ThreadPoolExecutor() as threads:
        worst = threads.map(_worst_percent, limiters, limiters.values(), repeat(seconds))
        figures |= {f"limits_{name}_worst_rolling_percent": each for name, each in zip(limiters, worst, strict=True)}
    print(json.dumps(figures))


def _p50_ms(limiter: Any, name: str, cost: int, calls: int) -> float:
    item, spent = RateLimitItemPerMinute(100_000_000), list[float]()
    for _ in range(calls):
        begun = time.perf_counter()
        limiter.hit(item, "latency", name, str(cost), cost=cost)
        spent.append(time.perf_counter() - begun)
    return round(1000 * median(spent), 3)


def _worst_percent(name: str, limiter: Any, seconds: float) -> float:
    item, pressure = RateLimitItemPerMinute(LIMIT), Pressure()

    def take(cost: int) -> bool:
        return limiter.hit(item, "pressure", name, cost=cost)

    # A window begins with the minute or with the first request: in both cases the greed begins at its end.
    time.sleep(WINDOW_SECONDS - time.time() % WINDOW_SECONDS)
    pressure.one(take)
    time.sleep(WINDOW_SECONDS - 3)
    pressure.greedy(take, seconds)
    return pressure.worst_percent()


if __name__ == "__main__":
    main()
