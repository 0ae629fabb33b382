"""Requests of users while the traffic goes from one colour to the other and back, again and again.

Each time as a rollout does it: what is idle is stopped and started anew, its health is waited for, everything new goes to it, and
what the other one serves it serves to its end.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from typing import Any

from bench.ground import progress
from bench.rollout.bounds import upper_bound
from bench.rollout.shop import ENVIRONMENT, STEADY, HeldToIt
from demo.shop.users import Load, coming
from steward.clients.application_host import ApplicationHost, open_application_host
from steward.clients.haproxy import LoadBalancer, open_balancer
from steward.clients.haproxy_runtime import Runtime
from steward.errors import StewardError
from steward.settings import Settings

_UP_SECONDS, _DRAIN_SECONDS = 60.0, 40.0
#: Of a machine that is far too slow for the load.
_AT_MOST_SECONDS = 1200.0
_MILLION = 1_000_000


class TooSlow(StewardError):
    """So few requests were made that the figure would say little."""


def measure(settings: Settings, live: str, *, requests: int, rate: float, seed: int) -> dict[str, Any]:
    """*requests* or a few more, of *rate* sessions a second; *live* has the traffic, and has it again at the end."""
    load = Load(
        url=settings.balancer(ENVIRONMENT).url,
        rate=rate,
        seconds=_AT_MOST_SECONDS,
        think_seconds=0.5,
        users=1_000_000,
        seed=seed,
    )
    counts, began, repeated = HeldToIt(STEADY), time.monotonic(), _repeated(settings)
    with open_application_host(settings, ENVIRONMENT) as host, coming(load, counts):
        turns = 0
        for turn in _there_and_back(host, open_balancer(settings, ENVIRONMENT), live):
            turns = turn
            progress(f"  {turns} switch-overs, {counts.asked:,} requests, {counts.unplanned} failed")
            if counts.asked >= requests or time.monotonic() - began > _AT_MOST_SECONDS:
                break
    if counts.asked < requests:
        raise TooSlow(
            f"{counts.asked:,} of {requests:,} requests in {_AT_MOST_SECONDS:g} s",
            hint="give --rate and --requests that the machine can serve",
        )
    report = counts.report()
    return {
        "switch_failed_requests": counts.unplanned,
        "switch_failed_upper_ppm": round(_MILLION * upper_bound(counts.unplanned, counts.asked), 2),
        "switch_requests": counts.asked,
        "switch_overs": turns,
        "switch_sent_again_by_clients": report.retried,
        "switch_sent_again_by_the_balancer": _repeated(settings) - repeated,
        "switch_p99_ms": report.milliseconds["/search"]["p99"],
        **({"switch_failures": counts.kinds} if counts.kinds else {}),
    }


def _there_and_back(host: ApplicationHost, balancer: LoadBalancer, live: str) -> Iterator[int]:
    """How many switch-overs there have been, after each way back."""
    idle = next(each.name for each in balancer.servers() if each.name != live)
    host.place(idle, STEADY)
    turns = 0
    while True:
        for to, away in ((idle, live), (live, idle)):
            host.restart(to)
            balancer.wait_up(to, _UP_SECONDS)
            balancer.direct(to)
            balancer.wait_drained(away, _DRAIN_SECONDS)
            turns += 1
        yield turns


def _repeated(settings: Settings) -> int:
    """Requests that HAProxy sent a second time, unnoticed by users: to the same server, or to the other one."""
    described = settings.balancer(ENVIRONMENT)
    told = Runtime(described.runtime, 5.0).ask(f"show stat {described.backend} 2 -1").removeprefix("# ").splitlines()
    (row,) = csv.DictReader(told)
    return int(row["wretr"]) + int(row["wredis"])
