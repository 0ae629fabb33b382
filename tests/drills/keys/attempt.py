"""One attempt at a flow, in a process that is forked from one which has imported everything: what a worker starts.

What waits in production waits less here, and what is large is small; the order of things is the same.
"""

import ctypes
import os
import signal
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

from prefect import Task, tags
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from flows.monthly_key_rotation import monthly_key_rotation
from flows.shred_tenant import shred_tenant
from steward.keys import sweep
from steward.settings import VARIABLE
from tasks import golden_rows, key_rotation, key_statements, key_sweeps, shredding
from tasks.durable import PERIOD_TAG
from tests.drills.keys import points

FLOWS = {"monthly-key-rotation": monthly_key_rotation, "shred-tenant": shred_tenant}
#: Which occurrence it is, for all attempts: what the watch hands on when it takes an operation up again.
PERIOD = "drill"
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Attempt:
    """What a process is told."""

    flow: str
    request: dict
    settings_file: str
    log: str
    environment: dict
    stop: points.Stop | None = None


def run(attempt):
    """In the process: stdout and stderr go to the attempt's log, and its end is its exit status."""
    _end_with_parent()
    _write_to(Path(attempt.log))
    os.environ[VARIABLE] = attempt.settings_file
    _shorten()
    if attempt.stop:
        points.install(attempt.stop)
    where = attempt.environment
    server = {PREFECT_API_URL: where["PREFECT_API_URL"], PREFECT_API_AUTH_STRING: where["PREFECT_API_AUTH_STRING"]}
    status = 1
    try:
        with temporary_settings(updates=server), tags(f"{PERIOD_TAG}{PERIOD}"):
            FLOWS[attempt.flow](attempt.request)
        status = 0
    except BaseException:  # noqa: BLE001  whatever it was, the process ends here
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # As a process ends whose flow is over; nothing that Prefect still has to tell is waited for.
        os._exit(status)


def _end_with_parent():
    """A drill that is killed leaves no process stopped for ever. Linux's own, since a stopped process can do nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _write_to(path):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def _shorten():
    for module in (golden_rows, key_rotation, key_statements, key_sweeps, shredding):
        for each in vars(module).values():
            if isinstance(each, Task):
                each.retry_delay_seconds = [1, 4, 12]
    key_rotation._POLL_SECONDS = key_sweeps._POLL_SECONDS = shredding._POLL_SECONDS = 0.2
    key_sweeps._QUIET_SECONDS = 0.3
    # Some hundred rows so make several parts, of several batches, of several statements each.
    sweep.PART_PAGES, sweep.BATCH_PAGES, sweep.REPLACED_ROWS = 2, 1, 5
