"""What the ledger costs a step: `python -m bench.overhead N` times @step and @task, in turns, in one flow run.

The last line of standard output is JSON: the median of each in milliseconds, and of the pairs' differences.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from bench.ground import Ground
from steward.errors import StewardError
from tasks.durable import durable, step

#: Not counted: the first calls open connections and compile what later ones use.
WARM_UP = 20


class OverheadUnmeasured(StewardError):
    """The flow of the measurement did not end well."""


@task(name="plain {number}", cache_policy=NO_CACHE, persist_result=False)
def plain(number: int) -> int:
    """The same body without the ledger."""
    return number


@step("recorded", key="{number}")
def recorded(number: int) -> int:
    """The same body with it."""
    return number


@flow(name="bench-overhead", persist_result=False)
@durable()
def bench_overhead(pairs: int) -> dict[str, float]:
    """Milliseconds: of each kind of step the median, and of the differences in pairs."""
    rows = [_pair(number) for number in range(-WARM_UP, pairs)][WARM_UP:]
    return {
        "task_ms": round(median(row[0] for row in rows), 2),
        "step_ms": round(median(row[1] for row in rows), 2),
        "step_overhead_ms": round(median(row[1] - row[0] for row in rows), 2),
    }


def _pair(number: int) -> tuple[float, float]:
    # Turn about, so that neither always follows the other's clean-up.
    if number % 2:
        second, first = _milliseconds(recorded, number), _milliseconds(plain, number)
    else:
        first, second = _milliseconds(plain, number), _milliseconds(recorded, number)
    return first, second


def _milliseconds(call: Callable[[int], int], number: int) -> float:
    began = time.perf_counter()
    call(number)
    return 1000 * (time.perf_counter() - began)


def measure_overhead(at: Ground, pairs: int) -> dict[str, float]:
    """In a process of its own, as a worker's would be."""
    command = [sys.executable, "-m", "bench.overhead", str(pairs)]
    environment = {**os.environ, **at.environment, "PREFECT_HOME": str(at.logs / "prefect-home")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OverheadUnmeasured(f"{command[1:]} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    print(json.dumps(bench_overhead(int(sys.argv[1]))))
