"""Workers of a test's own, for children that any worker takes: to see who took what, and to kill one with its runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path

import psutil
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate

from replica import inventory

ROOT = Path(__file__).parents[2]
TEMPLATE = json.loads((Path(str(files("deployments"))) / "work_pools" / "process.json").read_text())


@contextmanager
def pool_with(flow, name, pool, settings_file):
    """A pool without workers, with the deployment *name* (FLOW/DEPLOYMENT) of *flow*; its runs know that settings file."""
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=pool, type="process", base_job_template=TEMPLATE))
        made = client.create_deployment(
            client.create_flow(flow),
            name.partition("/")[2],
            entrypoint=f"{flow.fn.__module__}.{flow.fn.__name__}",
            work_pool_name=pool,
            job_variables={
                "command": f"{sys.executable} -m prefect.engine",
                "env": {"STEWARD_SETTINGS": str(settings_file)},
                "working_dir": str(ROOT),
            },
        )
        yield pool
        client.delete_deployment(made)
        client.delete_work_pool(pool)


@contextmanager
def working(replica, pool, folder, name):
    """A worker that takes one run at a time."""
    environment = {**os.environ, **inventory.environment(replica)}
    environment |= {"PREFECT_HOME": str(folder / name), "PREFECT_WORKER_QUERY_SECONDS": "1"}
    command = [sys.executable, "-m", "prefect", "worker", "start", "--type", "process", "--pool", pool]
    with (folder / f"{name}.log").open("ab") as log:
        worker = subprocess.Popen(
            [*command, "--limit", "1", "--name", name], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
    try:
        yield worker
    finally:
        end(worker.pid)
        worker.wait()


def end(pid):
    """That process, and whatever it started."""
    try:
        top = psutil.Process(pid)
        family = [*top.children(recursive=True), top]
    except psutil.NoSuchProcess:
        return
    for each in family:
        with suppress(ProcessLookupError):
            os.kill(each.pid, signal.SIGKILL)


def runs_of(worker):
    """Process ids of the runs that *worker* is at."""
    return {child.pid for child in psutil.Process(worker.pid).children()}
