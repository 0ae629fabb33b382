"""What the webhooks are worth, on real servers: `python -m bench.webhooks`.

    python -m bench.webhooks [--deliveries N] [--events N] [--lanes N] [--only speed start loss] [--seed N] …

Servers of its own, a receiver and a dispatcher of its own over them, by rules of its own. Deliveries are GitHub's whole payloads
with ids and times of their own, signed; which, how large and when follows the seed. Progress goes to standard error; the last line of
standard output is JSON:

    webhook_p99_ms, ..._p50_ms, ..._max_ms  from when a delivery was due, whether or not it could be sent by then, until its 202 was
                                            there; goal of p99: < 50
    webhook_rate, webhook_deliveries        a second, at moments of chance, and all of them; one in a hundred starts a run meanwhile
    webhook_bytes_p50, ..._max              of a body
    webhook_unanswered                      told 503, or nothing within 10 s: counted with as long
    webhook_all_start_p99_ms, ...           the same where every one starts a run: more than Prefect can make
    prefect_events_p99_ms, ...              rival: the same payloads at the same moments, to Prefect's own `POST /api/events`
    event_to_running_seconds                from before the request with a signed `deployment` until the first RUNNING of its
                                            production-rollout, the median of `event_to_running_events`; goal: <= 3
    event_to_running_p95_seconds            with all of the machine's other work
    event_to_running_parts_p50_seconds      the medians of parts; created counts from before the request, too
    prefect_event_to_running_...            rival: the same deployment by the event that its trigger waits for
    lost                                    events without a run, of those of which any delivery was acknowledged; goal: 0
    doubled, unasked                        runs beyond the first of an event; runs of what nobody sent; goal: 0
    loss_...                                deliveries, requests (tries included) and their answers (0: none), events, acknowledged
                                            events, runs, and who was killed how often
    prefect_lost, prefect_doubled, ...      rival: a tenth of that, to Prefect's own route and an automation

Runs are counted in a deployment whose pool has no workers, by what their parameters say, not by their keys. Of the deliveries of `loss`,
one half tells of an event for the first time; the others come again under the same id, under another one, or in another body. Everything is
killed with SIGKILL, each at least three times, and Prefect stays away for longer than a minute once. A fifth of the senders try once,
and never again: what they were not told 2xx for may have its run, and may not. (What GitHub did not deliver at all is
found by `reconcile-webhooks`, which has tests of its own.)
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_SSL_CERT_FILE,
    PREFECT_API_URL,
    temporary_settings,
)

from bench.goals import conclude
from bench.ground import Ground, progress
from bench.webhooks import beginning, loss, speed
from bench.webhooks.killing import await_back
from bench.webhooks.laying import Served, idle_deployment, serving
from replica import faults
from steward.migrations.apply import migrate

SERVERS = ("postgres", "prefect", "worker")
PARTS = ("speed", "start", "loss")
RATE = 200.0
_RIVAL_SHARE = 10
GOALS = {
    "webhook_p99_ms": math.nextafter(50, 0),
    "event_to_running_seconds": 3.0,
    "lost": 0,
    "doubled": 0,
    "unasked": 0,
}


def measure(at: Ground, options: argparse.Namespace) -> dict[str, Any]:
    """The parts that were asked for, each with its rival after it."""
    os.environ.update(at.environment)
    migrate(at.settings)
    named = (PREFECT_API_URL, PREFECT_API_AUTH_STRING, PREFECT_API_SSL_CERT_FILE)
    figures: dict[str, Any] = {"seed": options.seed}
    with (
        tempfile.TemporaryDirectory(prefix="steward-bench-") as folder,
        temporary_settings(updates={setting: at.environment[setting.name] for setting in named}),
        get_client(httpx_settings={"timeout": 60}, sync_client=True) as client,
        serving(at, Path(folder), options.lanes) as served,
    ):
        idle = idle_deployment(client)
        if "start" in options.only:
            figures |= _start(served, client, Path(folder), options)
        if "loss" in options.only:
            figures |= _loss(served, client, idle, options)
        if "speed" in options.only:
            figures |= _speed(served, options)
    return figures


def _start(served: Served, client: SyncPrefectClient, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    beginning.deploy_rollout(folder)
    progress(f"{options.starts} deliveries that start production-rollout, one by one")
    ours = beginning.measure(served, client, events=options.starts, seed=options.seed)
    progress("as many of Prefect's events")
    theirs = beginning.rival(client, events=options.starts, seed=options.seed)
    named = {"event_to_running_seconds": ours.pop("p50_seconds"), **_named("event_to_running", ours)}
    return named | _named("prefect_event_to_running", theirs)


def _loss(served: Served, client: SyncPrefectClient, idle: str, options: argparse.Namespace) -> dict[str, Any]:
    events = options.events or (options.deliveries + 1) // 2
    progress(f"{options.deliveries:,} deliveries of {events:,} events, while everything is killed")
    ours = loss.measure(
        served,
        client,
        idle,
        deliveries=options.deliveries,
        events=events,
        seconds=options.loss_seconds,
        seed=options.seed,
    )
    figures = {name: ours.pop(name) for name in ("lost", "doubled", "unasked")} | _named("loss", ours)
    progress("a tenth of that to Prefect's own route")
    theirs = loss.rival(
        served.at,
        client,
        idle_deployment(client, "rival"),
        deliveries=max(10, options.deliveries // _RIVAL_SHARE),
        events=max(5, events // _RIVAL_SHARE),
        seconds=options.loss_seconds / 2,
        seed=options.seed,
    )
    return figures | _named("prefect", theirs)


def _speed(served: Served, options: argparse.Namespace) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name, percent in (("webhook", 1.0), ("webhook_all_start", 100.0)):
        progress(f"{RATE:g} deliveries a second for {options.speed_seconds:g} s, {percent:g} % of which start a run")
        figures |= _named(
            name,
            speed.measure(served, seconds=options.speed_seconds, rate=RATE, starts_percent=percent, seed=options.seed),
        )
    # The rival has the machine for itself.
    served.dispatcher.kill()
    faults.kill(served.state, "prefect", restart=True)
    await_back(served.at, "prefect")
    progress("as many to Prefect's own route")
    theirs = speed.rival(served.at, seconds=options.speed_seconds, rate=RATE, seed=options.seed)
    return figures | _named("prefect_events", theirs)


def _named(prefix: str, figures: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}_{name}": value for name, value in figures.items()}


def main(arguments: Sequence[str]) -> int:
    """As `conclude` says."""
    options = _parser().parse_args(arguments)
    return conclude(SERVERS, lambda at: measure(at, options), GOALS)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.webhooks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--deliveries", type=int, default=10_000, help="while everything is killed")
    parser.add_argument("--events", type=int, help="of which these tell; default: half as many")
    parser.add_argument("--loss-seconds", type=float, default=220.0, help="within which they are sent")
    parser.add_argument("--speed-seconds", type=float, default=60.0, help=f"at {RATE:g} deliveries a second")
    parser.add_argument("--starts", type=int, default=30, help="of production-rollout, each way")
    parser.add_argument("--lanes", type=int, default=4, help="of the dispatcher")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=[*PARTS])
    parser.add_argument("--seed", type=int, default=7)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
