"""What the gateway adds to an answer, how much one machine serves, and what the limiter costs: `python -m bench.gateway`.

    python -m bench.gateway [--requests N] [--seconds S] [--workers W]

Real servers of its own: the ledger in PostgreSQL, limits in the Redis cluster, the provider's twin. The same request goes to the
twin directly and through the gateway, in turns, over connections that stay open. Client, gateway, ledger, limiter and twin
share the machine. Progress goes to standard error; the last line of standard output is JSON:

    gateway_added_p50_ms, gateway_added_p99_ms   percentile through the gateway, less that of the twin asked directly
    stream_added_p50_ms                          the same of a stream, to its end
    direct_p50_ms, gateway_p50_ms, ..._p99_ms    what these are of
    requests_per_second                          through W workers, CONNECTIONS callers at a time
    failed                                       requests in that time which were not answered; goal: 0
    attempts_missing                             answers without a settled attempt in the ledger; goal: 0
    limiter_..., rivals                          bench/ratelimit.py
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from statistics import quantiles
from typing import Any
from urllib.parse import urlsplit

import tomli_w

from bench import ratelimit
from bench.goals import conclude
from bench.ground import Ground, progress
from bench.http_client import Connection, request
from replica.ports import choose
from replica.server import python
from services.gateway.admission import POLICY
from services.gateway.callers import digest, new_key
from steward.clients.postgres import connect
from steward.clients.ratelimit import load_functions, open_limiter
from steward.migrations.apply import migrate
from steward.ratelimit import Cost, Limits, Ring
from steward.ratelimit.errors import LimitReached
from steward.settings import Gateway, Provider, Settings, read_secret

SERVERS = ("postgres", "redis-1", "providers")
GOALS = {
    "gateway_added_p50_ms": 2.0,
    "gateway_added_p99_ms": 10.0,
    "failed": 0,
    "attempts_missing": 0,
    **ratelimit.GOALS,
}
#: More settled than answered would be as wrong as fewer.
LEAST = {**ratelimit.LEAST, "attempts_missing": 0}
CONNECTIONS = 32
MODEL = "gpt-4.1"
ASKED = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "Which way is the sea?"}],
    "max_tokens": 50,
}
_UP_SECONDS = 60
#: So much of all requests in turns, more and before them, warms connections and caches.
_WARMING = 10


def measure(at: Ground, options: argparse.Namespace) -> dict[str, Any]:
    """Latency in turns, then as much as goes; the limiter by itself."""
    migrate(at.settings)
    load_functions(at.settings)
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder:
        key = new_key()
        settings, twin, twin_key = _described(at, Path(folder), key)
        _opened(settings)
        with _workers(Path(folder) / "settings.toml", options.workers) as ports:
            progress("in turns, directly and through the gateway")
            figures = asyncio.run(_in_turns(ports[0], key, twin, twin_key, options.requests))
            progress(f"{figures}; now {CONNECTIONS} callers at a time")
            asked, failed = asyncio.run(_at_once(ports, key, options.seconds))
        figures |= {"requests_per_second": round(asked / options.seconds), "failed": failed, "workers": options.workers}
        in_turns = 2 * (options.requests + options.requests // _WARMING)
        figures["attempts_missing"] = _missing(settings, in_turns + asked - failed)
    return figures | ratelimit.measure(at)


def _described(at: Ground, folder: Path, key: str) -> tuple[Settings, str, str]:
    """Settings with the twin as a provider that limits nothing; its address, its key."""
    clients = json.loads((at.logs.parent / "providers" / "clients.json").read_text())
    reference = next(iter(clients["openai"]["accounts"]["openai-main"]["keys"].values()))
    route = {"account": "openai", "model": MODEL, "most_output_tokens": 500, "limits": {"requests": 10**9}}
    catalog, callers = folder / "catalog.toml", folder / "callers.toml"
    catalog.write_text(tomli_w.dumps({"alias": [{"name": MODEL, "route": [route]}]}))
    callers.write_text(tomli_w.dumps({"caller": [{"id": "bench", "sha256": digest(key), "tenant": "bench"}]}))
    settings = at.settings.model_copy(
        update={
            "providers": {"openai": Provider(kind="openai", url=clients["openai"]["url"], key=reference)},
            "gateway": Gateway(catalog=catalog, callers=callers),
        }
    )
    (folder / "settings.toml").write_text(tomli_w.dumps(settings.model_dump(mode="json", exclude_none=True)))
    _unlimited(clients["admin"])
    return settings, clients["openai"]["url"], read_secret(reference)


def _unlimited(admin: dict[str, str]) -> None:
    """What is measured here is not the twin's limits; its headers tell of them, and the gateway would keep to those."""
    told = {"authorization": f"Bearer {read_secret(admin['token'])}"}
    limits = [{"account": "openai-main", "model": "*", "requests": 10**9, "tokens": 10**12}]
    asked = {"mode": "off", "limits": limits}
    status, _ = asyncio.run(request(admin["url"], "PUT", "/admin/limits", told, asked))
    assert status == HTTPStatus.OK, status


def _opened(settings: Settings) -> None:
    """Nothing is known of the ring, so it begins exhausted."""
    progress(f"waiting {POLICY.ring_seconds} s: a ring of which nothing is known begins exhausted")
    with open_limiter(settings) as limiter:
        while True:
            try:
                ring = Ring(f"openai:openai:{MODEL}")
                limiter.cancel(limiter.reserve(ring, Limits(10**9), POLICY, "bench", Cost(1)))
            except LimitReached as denied:
                time.sleep(min(denied.retry_after_seconds, 1.0))
            else:
                return


@contextmanager
def _workers(settings: Path, number: int) -> Generator[list[int]]:
    ports = list(choose([f"worker-{n}" for n in range(number)], {}).values())
    environment = {**os.environ, "STEWARD_SETTINGS": str(settings)}
    running = [
        subprocess.Popen(
            [python(), "-m", "services.gateway", "serve", "--port", str(port), "--name", f"bench-{n}"], env=environment
        )
        for n, port in enumerate(ports)
    ]
    try:
        for port in ports:
            asyncio.run(_up(port))
        yield ports
    finally:
        for each in running:
            each.terminate()
        for each in running:
            each.wait()


async def _up(port: int) -> None:
    deadline = time.monotonic() + _UP_SECONDS
    while True:
        try:
            status, _ = await request(f"http://127.0.0.1:{port}", "GET", "/healthz", {})
        except OSError:
            status = 0
        if status == HTTPStatus.OK:
            return
        assert time.monotonic() < deadline, "a worker did not start"
        await asyncio.sleep(0.1)


async def _in_turns(port: int, key: str, twin: str, twin_key: str, requests: int) -> dict[str, float]:
    async with Connection("127.0.0.1", port, key) as ours, Connection(*_address(twin), twin_key) as direct:
        figures: dict[str, float] = {}
        for name, body in (("", ASKED), ("stream_", {**ASKED, "stream": True})):
            spent: dict[str, list[float]] = {"gateway": [], "direct": []}
            for turn in range(requests + requests // _WARMING):
                order = [("gateway", ours), ("direct", direct)]
                for which, connection in order if turn % 2 else order[::-1]:
                    begun = time.perf_counter()
                    status, _ = await connection.post("/v1/chat/completions", body)
                    assert status == HTTPStatus.OK, status
                    if turn >= requests // _WARMING:
                        spent[which].append(1000 * (time.perf_counter() - begun))
            figures |= _spread(name, spent)
    return figures


def _spread(name: str, spent: dict[str, list[float]]) -> dict[str, float]:
    cuts = {which: quantiles(times, n=100) for which, times in spent.items()}
    figures: dict[str, float] = {}
    for percent in (50, 99):
        for which, each in cuts.items():
            figures[f"{name}{which}_p{percent}_ms"] = round(each[percent - 1], 2)
        added = round(cuts["gateway"][percent - 1] - cuts["direct"][percent - 1], 2)
        figures[f"{name or 'gateway_'}added_p{percent}_ms"] = added
    return figures


async def _at_once(ports: Sequence[int], key: str, seconds: float) -> tuple[int, int]:
    """(requests, of which failed)."""
    until = time.monotonic() + seconds

    async def caller(port: int) -> tuple[int, int]:
        asked = failed = 0
        async with Connection("127.0.0.1", port, key) as connection:
            while time.monotonic() < until:
                status, _ = await connection.post("/v1/chat/completions", ASKED)
                asked, failed = asked + 1, failed + (status != HTTPStatus.OK)
        return asked, failed

    done = await asyncio.gather(*(caller(ports[n % len(ports)]) for n in range(CONNECTIONS)))
    return sum(asked for asked, _ in done), sum(failed for _, failed in done)


def _missing(settings: Settings, answered: int) -> int:
    """The workers have gone, and what they knew is written."""
    with connect(settings) as connection:
        query = "SELECT count(*) FROM steward.ai_attempts WHERE state = 'settled' AND ending = 'completed'"
        ((settled,),) = connection.execute(query).fetchall()
    return answered - settled


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


def main(arguments: list[str]) -> int:
    """Exit code 1 where a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=2000, help="of each kind, in turns")
    parser.add_argument("--seconds", type=float, default=20.0, help="of as much as goes")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(arguments)
    return conclude(SERVERS, lambda at: measure(at, options), GOALS, LEAST)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
