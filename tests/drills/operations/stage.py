"""The drill's stage in a replica: a database, an effect log, a watch and a deployment of its own."""

import json
import os
import ssl
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import tomli_w
from prefect.client.orchestration import get_client
from prefect.states import Scheduled

from replica import inventory, processes, start
from replica.server import Place
from replica.servers import SERVERS
from replica.servers.worker import POOL
from steward.clients.postgres import connect
from steward.migrations.apply import migrate
from steward.operations.ledger import Ledger
from steward.settings import Settings, load
from tasks.durable import PERIOD_TAG
from tests.drills.operations.order import drill_order
from tests.flows.prefect_server import recording_in
from tests.integration.fresh_database import changed, fresh_database

#: Shorter than production's, so that a drill waits less for the dead; the order of things is the same.
LEASE_SECONDS, HEARTBEAT_SECONDS = 6.0, 2.0
PLATFORM = ["postgres", "prefect", "worker"]
ROOT = Path(__file__).parents[3]
#: Its log is asked without TLS, again and again: the roots of the whole web take 40 ms of a processor each time.
_NO_ROOTS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Watch:
    """`python -m services.watch`, as production runs it, to be killed and started again."""

    def __init__(self, settings_file, replica, folder) -> None:
        self.environment = {**os.environ, **inventory.environment(replica), "STEWARD_SETTINGS": str(settings_file)}
        self.log, self.expectations = folder / "watch.log", folder / "expectations.toml"
        self.process = None

    def start(self):
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "services.watch", "--expectations", str(self.expectations)]
            self.process = subprocess.Popen(
                [*command, "--listen", "127.0.0.1:0"], cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )

    def kill(self):
        self.process.kill()
        self.process.wait()


class Stage:
    """What a case needs to begin, to be met and to be judged."""

    def __init__(self, replica: Place, settings: Settings, watch: Watch, outside, log) -> None:
        self.replica, self.settings, self.watch = replica, settings, watch
        self.outside, self.log = outside, log
        self.book = Ledger(settings)
        self.deployment_id = None
        # A second drill in the same replica has its own.
        self.deployed_as = f"drill-{settings.postgres.url.rpartition('/')[2]}"

    def deploy(self, settings_file):
        """To the real server, not through prefect.yaml: it is no operation of anybody's."""
        with get_client(sync_client=True) as client:
            self.deployment_id = client.create_deployment(
                flow_id=client.create_flow_from_name(drill_order.name),
                name=self.deployed_as,
                entrypoint="tests.drills.operations.order.drill_order",
                work_pool_name=POOL,
                pull_steps=[],
                # The package of the tests is importable from the checkout only.
                job_variables={"env": {"STEWARD_SETTINGS": str(settings_file)}, "working_dir": str(ROOT)},
            )

    @property
    def deployment_name(self):
        return f"{drill_order.name}/{self.deployed_as}"

    def undeploy(self):
        with get_client(sync_client=True) as client:
            client.delete_deployment(self.deployment_id)

    def parameters(self, name, *, out_of_stock=False):
        return {"order": {"name": name, "out_of_stock": out_of_stock, **self.outside}}

    def begin(self, name, *, out_of_stock=False):
        """A run of the order, as a schedule would make it: the flow run's id."""
        with get_client(sync_client=True) as client:
            run = client.create_flow_run_from_deployment(
                self.deployment_id,
                parameters=self.parameters(name, out_of_stock=out_of_stock),
                state=Scheduled(),
                name=name,
                tags=[f"{PERIOD_TAG}once"],
            )
        return run.id

    def run(self, run_id):
        with get_client(sync_client=True) as client:
            return client.read_flow_run(run_id)

    def tell(self, what, case, point):
        """`arm` or `release` the gate."""
        url = f"http://127.0.0.1:{self.outside['http']}/{what}"
        told = [f"{case.name}@once", case.point if point is None else point]
        httpx.post(url, json=told, verify=_NO_ROOTS).raise_for_status()

    def held(self):
        return {(name.removesuffix("@once"), point) for name, point in self._held()}

    def _held(self):
        url = f"http://127.0.0.1:{self.outside['http']}/held"
        return httpx.get(url, verify=_NO_ROOTS).raise_for_status().json()

    def operation(self, name):
        """The ledger's row of the order *name*, or None."""
        rows = self.book.query("SELECT * FROM steward.operations WHERE subject = %(name)s", name=name)
        return rows[0] if rows else None

    def attempts(self, name):
        return self.book.query(
            "SELECT a.* FROM steward.operation_attempts a JOIN steward.operations o ON o.id = a.operation_id"
            " WHERE o.subject = %(name)s ORDER BY a.token",
            name=name,
        )

    def process_of(self, name):
        """The process that holds the order now, which the ledger names; only one that the replica's worker started."""
        pid = int(self.operation(name)["owner"].split(":")[1])
        assert processes.is_own(pid, self.replica.state), f"process {pid} of {name} is not the replica's"
        return psutil.Process(pid)

    def effects(self):
        """Every effect in the order of its arrival, the database's own included."""
        logged = [json.loads(line) for line in self.log.read_text().splitlines()]
        booked = self.book.query(
            "SELECT extract(epoch FROM at)::float8 AS at, effect, subject AS name, subject AS case, token, attempt"
            " FROM drill.postings"
        )
        return sorted([*logged, *booked], key=lambda each: each["at"])

    def mend(self):
        """Every server of the platform up and answering."""
        start.up(self.replica.state, SERVERS, PLATFORM, say=lambda _: None)


@contextmanager
def staged(replica, folder):
    """The stage in *replica*, its files in *folder*."""
    with fresh_database(load(inventory.settings_file(replica))) as database, recording_in(replica):
        settings = changed(database, "operations", lease_seconds=LEASE_SECONDS, heartbeat_seconds=HEARTBEAT_SECONDS)
        migrate(settings)
        with connect(settings) as db:
            # Prefect keeps the keys of earlier drills: a ledger that begins anew must not give the same ones again.
            db.execute(f"ALTER SEQUENCE steward.fencing_tokens RESTART WITH {int(time.time())}")
            db.execute("CREATE SCHEMA drill")
            db.execute(POSTINGS)
        settings_file = folder / "settings.toml"
        settings_file.write_text(tomli_w.dumps(settings.model_dump(mode="json", exclude_none=True)))
        with effect_log(folder / "effects.jsonl") as outside:
            watch = Watch(settings_file, replica, folder)
            stage = Stage(replica, settings, watch, outside, folder / "effects.jsonl")
            stage.deploy(settings_file)
            watch.expectations.write_text("")
            watch.start()
            try:
                yield stage
            finally:
                watch.kill()
                stage.mend()
                stage.undeploy()
                stage.book.close()


@contextmanager
def effect_log(path):
    """The outside world's process; its ports."""
    command = [sys.executable, "-m", "tests.drills.operations.effect_log", str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


def until(answer, seconds, what):
    """The first answer that is true; after *seconds* AssertionError, which says that there was no *what*."""
    end = time.monotonic() + seconds
    while not (found := answer()):
        assert time.monotonic() < end, f"no {what() if callable(what) else what} after {seconds:.0f} s"
        time.sleep(0.2)
    return found


# Without a constraint that would hide what is done twice.
POSTINGS = """
CREATE TABLE drill.postings (
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    subject text NOT NULL, effect text NOT NULL, token bigint NOT NULL, attempt integer NOT NULL
)
"""
