"""The whole flow in a process of its own: what a night takes, and how much memory it needs at most."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import date
from typing import NamedTuple

from bench.ground import Ground
from steward.clients.postgres import connect
from steward.errors import StewardError
from steward.snapshots.catalogue import history
from steward.snapshots.report import SnapshotReport

#: The flow itself, as a worker starts it but for the worker.
FLOW = """
import sys
from datetime import date
from flows.nightly_snapshot import nightly_snapshot
nightly_snapshot(night=date.fromisoformat(sys.argv[1]))
"""
LOG = "bench-flow.log"
CLUSTER = "production"


class FlowFailed(StewardError):
    """The flow did not end VERIFIED: its figures would be of something else."""


class FlowFigures(NamedTuple):
    """Of one run: wall-clock seconds from the process's start to its end, its peak resident memory, and what it came to."""

    seconds: float
    peak_memory_mb: float
    report: SnapshotReport


def run_flow(at: Ground, night: date) -> FlowFigures:
    """The flow for *night* on *at*, which has its tenants in place."""
    log = at.logs / LOG
    environment = {**os.environ, **at.environment, "PREFECT_HOME": str(at.logs / "prefect-home")}
    subprocess.run([sys.executable, "-m", "steward", "migrate"], env=environment, check=True, capture_output=True)
    started = time.monotonic()
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-c", FLOW, str(night)], env=environment, stdout=file, stderr=file)
        # wait4 tells this child's own peak; getrusage would tell the largest of all children.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        last = log.read_text(errors="replace").splitlines()[-15:]
        raise FlowFailed("\n".join([f"the flow ended with status {process.returncode}:", *last]))
    seconds = time.monotonic() - started
    with connect(at.settings) as db:
        [report] = history(db, CLUSTER, 1)
    return FlowFigures(seconds, usage.ru_maxrss / 1024, report)
