"""From a delivery's first byte to its run RUNNING, part by part; and the same from Prefect's own event route."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun, StateType

from bench.ground import progress
from bench.rollout.bounds import quantile
from bench.webhooks.deliveries import PATH, Mill
from bench.webhooks.laying import ROLLOUT, Served, empty_inbox
from deployments.prefect.__main__ import FILE, put
from steward.errors import StewardError

_PATIENCE_SECONDS = 60.0
#: A run is over within seconds, for it has no such release; the next begins at any phase of the worker's polls.
_APART_SECONDS = (5.0, 7.0)
_FLAG = "bench"


class NotBegun(StewardError):
    """A delivery's run did not get to RUNNING: there is nothing to time."""


@dataclass(frozen=True)
class Beginning:
    """Of one run: seconds, part by part."""

    answered: float
    """From before the request until its answer was there."""
    created: float
    """From before the request until Prefect had the run. The answer does not wait for it."""
    picked_up: float
    """From then until a worker had it PENDING."""
    started: float
    """From then until its process had it RUNNING: Python's start and its imports."""

    @property
    def total(self) -> float:
        return self.created + self.picked_up + self.started


def deploy_rollout(folder: Path) -> None:
    """production-rollout as it is shipped, and nothing else: no schedule comes between."""
    described = yaml.safe_load(FILE.read_text())
    described["deployments"] = [each for each in described["deployments"] if each["name"] == "production-rollout"]
    own = folder / "prefect.yaml"
    own.write_text(yaml.safe_dump(described))
    put(own)


def measure(served: Served, client: SyncPrefectClient, *, events: int, seed: int) -> dict[str, Any]:
    """Signed deployments of releases that there are not: each run fails at its preconditions. Raises NotBegun."""
    empty_inbox(served.settings)
    mill, sent = Mill(seed, served.secret), dict[str, tuple[float, float]]()

    def send(release: str) -> None:
        made = mill.deployment("production", {"release": release, "flag": _FLAG})
        answer = http.post(f"http://127.0.0.1:{served.receiver.port}{PATH}", content=made.body, headers=made.headers)
        if answer.status_code != HTTPStatus.ACCEPTED:
            raise NotBegun(f"a delivery was answered {answer.status_code}: {answer.text[:300]}")

    with httpx.Client(trust_env=False, timeout=30) as http:
        _send(sent, send, events, seed)
    return _told(_beginnings(client, sent))


def rival(client: SyncPrefectClient, *, events: int, seed: int) -> dict[str, Any]:
    """The event that production-rollout's own trigger waits for, in Prefect's route."""
    sent = dict[str, tuple[float, float]]()

    def send(release: str) -> None:
        event = {
            "id": str(uuid.uuid4()),
            "occurred": datetime.now(UTC).isoformat(),
            "event": "steward.rollout.requested",
            "resource": {"prefect.resource.id": f"bench.{release}"},
            "payload": {"release": release, "flag": _FLAG},
        }
        client.request("POST", "/events", json=[event])

    _send(sent, send, events, seed)
    return _told(_beginnings(client, sent))


def _send(sent: dict[str, tuple[float, float]], send: Any, events: int, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  pauses, to be had again
    for number in range(events):
        release, began = f"none-{uuid.uuid4().hex[:8]}", time.time()
        send(release)
        sent[release] = began, time.time() - began
        if number % 10 == 9:  # noqa: PLR2004
            progress(f"  {number + 1} of {events}")
        time.sleep(chance.uniform(*_APART_SECONDS))


def _beginnings(client: SyncPrefectClient, sent: Mapping[str, tuple[float, float]]) -> list[Beginning]:
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        runs = {run.parameters["request"]["release"]: run for run in _runs(client)}
        begun = {release: _moments(client, runs[release]) for release in sent if release in runs}
        if len(begun) == len(sent) and all(StateType.RUNNING in each for each in begun.values()):
            return [_beginning(*sent[release], each) for release, each in begun.items()]
        if time.monotonic() > until:
            raise NotBegun(f"{len(begun)} of {len(sent)} deliveries have a run, and not each of these was RUNNING")
        time.sleep(1.0)


def _runs(client: SyncPrefectClient) -> Sequence[FlowRun]:
    of = DeploymentFilter(id=DeploymentFilterId(any_=[client.read_deployment_by_name(ROLLOUT).id]))
    return client.read_flow_runs(deployment_filter=of, limit=200)


def _moments(client: SyncPrefectClient, run: FlowRun) -> dict[StateType, float]:
    """The first of each state."""
    found = dict[StateType, float]()
    for state in sorted(client.read_flow_run_states(run.id), key=lambda each: each.timestamp):
        found.setdefault(state.type, state.timestamp.timestamp())
    return found


def _beginning(began: float, answered: float, at: Mapping[StateType, float]) -> Beginning:
    made, pending, running = (at[each] for each in (StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING))
    return Beginning(answered, made - began, pending - made, running - pending)


def _told(found: Sequence[Beginning]) -> dict[str, Any]:
    totals = [each.total for each in found]
    told = {
        "p50_seconds": round(quantile(totals, 0.5), 2),
        "p95_seconds": round(quantile(totals, 0.95), 2),
        "parts_p50_seconds": {
            part.name: round(median(getattr(each, part.name) for each in found), 3) for part in fields(Beginning)
        },
        "events": len(found),
    }
    progress(f"  {told}")
    return told
