"""How soon a delivery is answered, while others come and the dispatcher works; and Prefect's own route, as often and as large."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import random
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx

from bench.ground import Ground, progress
from bench.rollout.bounds import quantile
from bench.webhooks.deliveries import IGNORED, PATH, STARTS, Delivery, Mill
from bench.webhooks.laying import Served, empty_inbox
from bench.webhooks.sending import Answered, Sender, arrive
from steward.errors import StewardError

#: Fill caches and open connections, and are not counted.
_WARMING = 200
_MS = 1000.0
#: 0 and 503: it may come again, and its time counts.
_TAKEN = {HTTPStatus.ACCEPTED, HTTPStatus.SERVICE_UNAVAILABLE, 0}


class NotTaken(StewardError):
    """A delivery was not taken: the times would be of something else."""


def measure(served: Served, *, seconds: float, rate: float, starts_percent: float, seed: int) -> dict[str, Any]:
    """Deliveries for so long, of which *starts_percent* start a run. Raises NotTaken for one that was refused."""
    empty_inbox(served.settings)
    mill, chance = Mill(seed, served.secret), random.Random(seed)  # noqa: S311  a draw, no secret
    due = arrivals(chance, seconds, rate)
    made = [
        mill.new(STARTS if chance.uniform(0, 100) < starts_percent else IGNORED) for _ in range(_WARMING + len(due))
    ]
    requests = [(each.headers, each.body) for each in made]
    answered = asyncio.run(_send(served.receiver.port, PATH, {}, requests, due))
    if refused := [each.status for each in answered if each.status not in _TAKEN]:
        raise NotTaken(f"{len(refused)} of {len(answered)} deliveries were refused, the first with {refused[0]}")
    sizes = [len(each.body) for each in made]
    return figures(answered) | {"bytes_p50": quantile(sizes, 0.5), "bytes_max": max(sizes)}


def rival(at: Ground, *, seconds: float, rate: float, seed: int) -> dict[str, Any]:
    """Prefect's `POST /api/events`, with the same payloads."""
    mill, chance = Mill(seed, "no secret"), random.Random(seed)  # noqa: S311  a draw, no secret
    due, (port, headers) = arrivals(chance, seconds, rate), prefect_at(at)
    told = {"Content-Type": "application/json"}
    requests = [(told, event_of(mill.new(IGNORED), "bench.delivery")) for _ in range(_WARMING + len(due))]
    return figures(asyncio.run(_send(port, "/api/events", headers, requests, due)))


def event_of(delivery: Delivery, name: str) -> bytes:
    """A delivery as one of Prefect's events; the same delivery, the same id."""
    told = {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, delivery.event)),
        "occurred": datetime.now(UTC).isoformat(),
        "event": name,
        "resource": {"prefect.resource.id": f"bench.{delivery.event.replace('/', '.')}"},
        "payload": {"event": delivery.event, "body": json.loads(delivery.body)},
    }
    return json.dumps([told], separators=(",", ":")).encode()


def prefect_at(at: Ground) -> tuple[int, dict[str, str]]:
    """Its port, and what a request that changes something carries."""
    url, auth = at.environment["PREFECT_API_URL"], at.environment["PREFECT_API_AUTH_STRING"]
    headers = {"Authorization": "Basic " + base64.b64encode(auth.encode()).decode()}
    client = str(uuid.uuid4())
    token = httpx.get(f"{url}/csrf-token", params={"client": client}, headers=headers, trust_env=False, timeout=30)
    token.raise_for_status()
    headers |= {"Prefect-Csrf-Client": client, "Prefect-Csrf-Token": token.json()["token"]}
    return urlsplit(url).port or 80, headers


def arrivals(chance: random.Random, seconds: float, rate: float) -> list[float]:
    """Moments as of many senders who do not know of one another."""
    return sorted(chance.uniform(0, seconds) for _ in range(round(seconds * rate)))


async def _send(
    port: int,
    path: str,
    headers: Mapping[str, str],
    requests: Sequence[tuple[Mapping[str, str], bytes]],
    due: Sequence[float],
) -> list[Answered]:
    """All of *requests* were made before: what that takes is nobody's answer. The first of them are not counted."""
    sender = Sender(port, path, headers)
    warming = requests[: len(requests) - len(due)]

    def of(some: Sequence[tuple[Mapping[str, str], bytes]]) -> Callable[[int], Callable[[], Awaitable[int]]]:
        return lambda number: lambda: sender.post(*some[number])

    # A collection of all that this process has imported would take a tenth of a second, and be counted as the receiver's.
    gc.collect()
    gc.freeze()
    try:
        # As fast as half the rate.
        pace = 2 * due[-1] / len(due)
        await arrive([number * pace for number in range(len(warming))], of(warming))
        return await arrive(due, of(requests[len(warming) :]))
    finally:
        gc.unfreeze()
        sender.close()


def figures(answered: Sequence[Answered]) -> dict[str, Any]:
    """Of all requests; one without an answer took as long as it was waited for."""
    took = [each.took_seconds * _MS for each in answered]
    last = max(each.due_seconds + each.took_seconds for each in answered)
    found = {
        "p50_ms": round(quantile(took, 0.5), 1),
        "p99_ms": round(quantile(took, 0.99), 1),
        "max_ms": round(max(took), 1),
        "rate": round(len(answered) / last, 1),
        "deliveries": len(answered),
        "unanswered": sum(each.status in {0, HTTPStatus.SERVICE_UNAVAILABLE} for each in answered),
    }
    progress("  " + ", ".join(f"{name} {value}" for name, value in found.items()))
    return found
