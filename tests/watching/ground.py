"""Ground for the watch's tests: a database of their own, a deployment that the replica's worker runs, watches to kill."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import httpx
import pytest
import tomli_w
from prefect.client.schemas.actions import WorkPoolCreate

from replica import inventory
from replica.servers.worker import POOL
from services.watch.bookkeeping import Bookkeeping
from services.watch.reaper import Reaper
from services.watch.runs import Runs
from services.watch.situation import Situation
from steward.operations.expectations import Expectation
from steward.operations.ledger import Ledger
from tests.integration.fresh_database import changed
from tests.watching.flows import watched

ROOT = Path(__file__).parents[2]
LEASE_SECONDS, HEARTBEAT_SECONDS = 2.0, 0.5
#: A start on two busy cores takes half a minute.
PENDING_SECONDS = 120.0


def hurried(settings):
    """The same settings with a lease that a test can wait for."""
    return changed(
        settings,
        "operations",
        lease_seconds=LEASE_SECONDS,
        heartbeat_seconds=HEARTBEAT_SECONDS,
        pending_seconds=PENDING_SECONDS,
    )


def written(settings, folder):
    """A settings file that says so."""
    path = folder / "settings.toml"
    path.write_text(tomli_w.dumps(settings.model_dump(mode="json", exclude_none=True)))
    return path


class Server:
    """The real Prefect server as a test prepares and reads it: one client, since each new one asks for a token first."""

    def __init__(self, client) -> None:
        self.client = client
        self.runs = Runs(client)

    @contextmanager
    def deployed(self, settings_file, name, pool=POOL):
        """The id of a deployment whose runs keep this ledger; the replica's worker starts them if *pool* is its own."""
        if pool != POOL:
            self.client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
        deployment_id = self.client.create_deployment(
            flow_id=self.client.create_flow_from_name(watched.name),
            name=name,
            entrypoint="tests.watching.flows.watched",
            work_pool_name=pool,
            pull_steps=[],
            job_variables={"env": {"STEWARD_SETTINGS": str(settings_file)}, "working_dir": str(ROOT)},
        )
        yield deployment_id
        for run in self.of(deployment_id):
            self.client.delete_flow_run(run.id)
        self.client.delete_deployment(deployment_id)
        if pool != POOL:
            self.client.delete_work_pool(pool)

    def of(self, deployment_id):
        return [run for run in self.client.read_flow_runs() if run.deployment_id == deployment_id]

    def made(self, deployment_id, state, **options):
        """The id of a run in *state*."""
        run = self.client.create_flow_run_from_deployment(deployment_id, **options)
        self.client.set_flow_run_state(run.id, state, force=True)
        return str(run.id)

    def state_of(self, run_id):
        return self.client.read_flow_run(UUID(str(run_id))).state


def until(answer, seconds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := answer():
            return found
        time.sleep(0.2)
    return pytest.fail(f"no {what} within {seconds} s")


def the_operation(book, **keys):
    rows = book.query("SELECT * FROM steward.operations ORDER BY id")
    found = [row for row in rows if all(row[name] == value for name, value in keys.items())]
    return found[0] if found else None


def expectation(**values):
    usual = {"name": "night", "subject": "a", "resource": "night/a", "deployment": "watched/none", "cron": "30 1 * * *"}
    return Expectation(**{**usual, "period": "%Y-%m-%d", "grace_minutes": 30, **values})


class InProcess:
    """A watch whose rounds the test makes itself, settled from the start."""

    def __init__(self, settings, expectations=(), *, settled=True) -> None:
        self.situation = Situation(Ledger(settings, patience_seconds=0), list(expectations))
        self.bookkeeping, self.reaper = Bookkeeping(self.situation), Reaper(self.situation)
        self.bookkeeping.round()
        if settled:
            self.situation.contact.settling_since = time.monotonic() - 3600
        # As after a minute of answers: what is PENDING for long has no process.
        self.reaper._answers_since = time.monotonic() - 3600

    def reap(self, runs):
        """A round with everything in it, as after an answer of the database just now."""
        self.situation.contact._heard = time.monotonic()
        for each in (self.reaper._scan, self.reaper._tidy):
            each._next = 0.0
        self.reaper.round(runs)


class Process:
    """`python -m services.watch`, as production runs it."""

    def __init__(self, folder, environment, number=0) -> None:
        self.log = folder / f"watch-{number}.log"
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "services.watch", "--listen", "127.0.0.1:0"]
            self.process = subprocess.Popen(
                [*command, "--expectations", str(folder / "expectations.toml")],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdout=log,
                stderr=log,
            )

    def says(self, text):
        return next((line for line in self.log.read_text().splitlines() if text in line), None)

    def get(self, path):
        line = until(lambda: self.says(" watching "), 30, "port of the watch")
        port = line.rpartition("listen=127.0.0.1:")[2].split()[0]
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@contextmanager
def watching(replica, settings_file, folder, *, count=1, **environment):
    """So many watches side by side, stopped afterwards."""
    told = {**inventory.environment(replica), "STEWARD_SETTINGS": str(settings_file), **environment}
    (folder / "expectations.toml").touch()
    watches = [Process(folder, told, number) for number in range(count)]
    try:
        yield watches
    finally:
        for watch in watches:
            if watch.process.poll() is None:
                watch.process.kill()
            watch.process.wait()
