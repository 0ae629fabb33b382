"""What the operation ledger costs a step, and how soon a killed flow goes on.

    python -m bench.operations [--pairs N] [--kills N] [--seed N]

Real servers of its own: PostgreSQL, Prefect, a process worker, the watch; leases and heartbeats as in production.
Progress goes to standard error; the last line of standard output is JSON:

    step_overhead_ms         a durable @step beside a plain @task of the same body: median of the differences of pairs
                             in one run, in turns; goal: at most 5
    resume_p50_seconds       from kill -9 of a flow's process to the first step of its next attempt
    resume_p95_seconds       goal: below 60
    resume_parts_p50_seconds where that time goes, part by part; the medians of parts need not add up
    third_attempts           attempts beyond the one that died and the one that took it up; goal: 0

Flows are started before the first kill, and killed one by one so far apart that no two are resumed at one moment.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from bench.goals import conclude
from bench.ground import Ground, progress
from bench.overhead import measure_overhead
from bench.resume import Killing
from steward.migrations.apply import migrate

PLATFORM = ("postgres", "prefect", "worker", "watch")
GOALS = {"step_overhead_ms": 5.0, "resume_p95_seconds": 60.0, "third_attempts": 0.0}


def measure(at: Ground, pairs: int, kills: int, seed: int) -> dict[str, Any]:
    """All figures, on servers that do nothing else."""
    migrate(at.settings)
    progress(f"timing {pairs} pairs of a step and a task")
    overhead = measure_overhead(at, pairs)
    url, auth = at.environment["PREFECT_API_URL"], at.environment["PREFECT_API_AUTH_STRING"]
    with (
        temporary_settings(updates={PREFECT_API_URL: url, PREFECT_API_AUTH_STRING: auth}),
        get_client(sync_client=True) as client,
    ):
        return overhead | Killing(at, client).run(kills, seed).as_json()


def main(arguments: list[str]) -> int:
    """As `conclude` says."""
    options = _parser().parse_args(arguments)
    return conclude(PLATFORM, lambda at: measure(at, options.pairs, options.kills, options.seed), GOALS)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.operations", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=200, help="of a step and a task")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=20250731, help="when the kills come")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
