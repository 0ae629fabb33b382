"""Nights as they are deployed, in a replica of real servers: with a ledger, a watch and a deployment of the drill's own."""

import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from uuid import UUID

import psutil
import psycopg
import tomli_w
from prefect.client.orchestration import get_client
from prefect.states import Scheduled

from replica import inventory, processes, start
from replica.servers import SERVERS
from replica.servers.worker import POOL
from steward.clients.elasticsearch import open_search
from steward.clients.postgres import connect, open_connection
from steward.evidence.store import list_statements
from steward.migrations.apply import migrate
from steward.operations.effects import left_effects
from steward.operations.ledger import Ledger
from steward.settings import VARIABLE, load
from steward.snapshots import capture
from steward.snapshots.digests import digest_by_scan
from steward.snapshots.report import SnapshotReport
from tasks.snapshots import PROVE, PROVE_TENANT
from tests.drills.operations.stage import HEARTBEAT_SECONDS, LEASE_SECONDS, ROOT, Watch, until
from tests.flows.prefect_server import recording_in
from tests.integration.fresh_database import changed, fresh_database
from tests.nights import forget_nights, lay_ground

NAME = "nightly-snapshot"
ENDED = {"done", "failed", "undone", "cancelled", "skipped"}
#: A point in time that was opened and not noted lives a minute, and is looked for once a minute.
GONE_WITHIN_SECONDS = 150


class Stage:
    """What a case needs to begin a night, to meet it and to judge it."""

    def __init__(self, replica, settings, settings_file, folder, policy) -> None:
        self.replica, self.settings, self.policy = replica, settings, policy
        self.watch = Watch(settings_file, replica, folder)
        self.book = Ledger(settings)
        self.night = datetime.now(UTC).date()
        self.fan_out = policy.fan_out
        self.deployments = dict[str, UUID]()
        self.open_before = 0

    def deploy(self, settings_file):
        """The night, and under the name that it asks for the proof of some of its tenants."""
        of_the_drill = f"drill-{self.settings.postgres.url.rpartition('/')[2]}"
        with get_client(sync_client=True) as client:
            for flow, name in ((NAME, of_the_drill), (PROVE_TENANT, PROVE.partition("/")[2])):
                module = flow.replace("-", "_")
                self.deployments[flow] = client.create_deployment(
                    flow_id=client.create_flow_from_name(flow),
                    name=name,
                    entrypoint=f"flows.{module}.{module}",
                    work_pool_name=POOL,
                    pull_steps=[],
                    job_variables={"env": {VARIABLE: str(settings_file)}, "working_dir": str(ROOT)},
                )

    def undeploy(self):
        with get_client(sync_client=True) as client:
            for each in self.deployments.values():
                client.delete_deployment(each)

    def begin(self):
        """A run of tonight, as a schedule would make it: the flow run's id."""
        policy = self.policy.model_copy(update={"fan_out": self.fan_out})
        parameters = {"policy": policy.model_dump(mode="json"), "night": str(self.night)}
        with get_client(sync_client=True) as client:
            return client.create_flow_run_from_deployment(
                self.deployments[NAME], parameters=parameters, state=Scheduled()
            ).id

    def state(self, run_id):
        with get_client(sync_client=True) as client:
            return client.read_flow_run(run_id).state

    def await_end(self, run_id, seconds):
        """The final state of a run that has something to say within *seconds*."""
        until(lambda: self.state(run_id).is_final(), seconds, f"end of run {run_id}")
        return self.state(run_id)

    def operation(self):
        rows = self.book.query("SELECT * FROM steward.operations WHERE name = %(name)s", name=NAME)
        return rows[0] if rows else None

    def attempts(self):
        """Of the night itself, the first first."""
        return self.book.query(
            "SELECT a.* FROM steward.operation_attempts a JOIN steward.operations o ON o.id = a.operation_id"
            " WHERE o.name = %(name)s ORDER BY a.token",
            name=NAME,
        )

    def step_is(self, step, *states):
        rows = self.book.query("SELECT state FROM steward.operation_steps WHERE name = %(name)s", name=step)
        return any(row["state"] in states for row in rows)

    @contextmanager
    def records_withheld(self):
        """The operation's row is locked: whatever is done now, the ledger hears of it only afterwards."""
        connection = open_connection(self.settings)
        try:
            connection.execute("SELECT 1 FROM steward.operations WHERE name = %s FOR UPDATE", [NAME])
            yield
        finally:
            # The server may be what was killed.
            with suppress(psycopg.Error):
                connection.close()

    def is_withheld(self):
        """Whether a step waits to tell the ledger something; a heartbeat that waits does not count."""
        rows = self.book.query(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'steward%%'"
            " AND wait_event_type = 'Lock' AND query NOT LIKE '%%lease_until%%'"
        )
        return bool(rows)

    def process(self):
        """The process that holds the night now, which the ledger names; only one that the replica's worker started."""
        pid = int(self.operation()["owner"].split(":")[1])
        assert processes.is_own(pid, self.replica.state), f"process {pid} is not the replica's"
        return psutil.Process(pid)

    def mend(self):
        """Every server up and answering."""
        start.up(self.replica.state, SERVERS, [], say=lambda _: None)

    def report(self):
        """What the ledger has as tonight's result."""
        return SnapshotReport.model_validate(self.operation()["result"])

    def snapshots(self):
        with open_search(self.settings, self.policy.cluster, "snapshot") as source:
            held = source.request("GET", f"/_snapshot/{self.policy.repository}/nightly-*")["snapshots"]
        return {each["snapshot"]: each["state"] for each in held}

    def statements(self, since):
        with connect(self.settings) as db:
            found = list_statements(db, NAME, subject=self.policy.cluster, period=str(self.night))
        return [each.verdict for each in found if each.recorded_at >= since]

    def digests(self):
        """Each tenant index's digest, scanned by hand: nobody writes while the drill runs."""
        with open_search(self.settings, self.policy.cluster, "snapshot") as source:
            names = [f"tenant-{name}-000001" for name in self.policy.tenants]
            return {name: digest_by_scan(source, name).rpartition(":")[2] for name in names}

    def open_points_in_time(self):
        with open_search(self.settings, self.policy.cluster, "monitoring") as client:
            path = "/_nodes/stats/indices/search?filter_path=nodes.*.indices.search.open_contexts"
            nodes = client.request("GET", path)["nodes"].values()
        return sum(node["indices"]["search"]["open_contexts"] for node in nodes)

    def leftovers(self):
        """Whatever a night has made on its way that is still there, by name."""
        parts = self.book.query(
            "SELECT subject, state FROM steward.operations WHERE name = %(name)s", name=PROVE_TENANT
        )
        left = [f"{part['state']} proof of {part['subject']}" for part in parts if part["state"] not in ENDED]
        by_whom = [(NAME, self.policy.cluster), *((PROVE_TENANT, part["subject"]) for part in parts)]
        for name, subject in by_whom:
            left += [f"effect {each.kind} {each.effect_id}" for each in left_effects(self.book, name, subject)]
        with open_search(self.settings, self.policy.scratch_cluster, "restore") as scratch:
            left += [f"copy {name}" for name in capture.restored_indices(scratch, "proof-")]
            left += [f"template {name}" for name in capture.capture_templates(scratch).templates]
            left += [f"repository {name}" for name in capture.repositories(scratch) if name != self.policy.repository]
        left += [f"staged {path.name}" for path in self.settings.snapshots.staging.path.iterdir()]
        left += [f"snapshot {name} {state}" for name, state in self.snapshots().items() if state == "IN_PROGRESS"]
        if (points := self.open_points_in_time()) > self.open_before:
            left.append(f"{points} points in time, {self.open_before} before")
        return left

    def forget(self):
        """As on a cluster that has had no night yet."""
        forget_nights(self.settings, self.policy)
        self.open_before = self.open_points_in_time()


@contextmanager
def staged(replica, folder):
    """The stage in *replica*, its files in *folder*; this process's environment is the drill's meanwhile."""
    with fresh_database(load(inventory.settings_file(replica))) as database, recording_in(replica):
        settings = changed(database, "operations", lease_seconds=LEASE_SECONDS, heartbeat_seconds=HEARTBEAT_SECONDS)
        migrate(settings)
        with connect(settings) as db:
            # Prefect keeps the keys of earlier drills: a ledger that begins anew must not give the same ones again.
            db.execute(f"ALTER SEQUENCE steward.fencing_tokens RESTART WITH {int(time.time())}")
        settings_file = folder / "settings.toml"
        settings_file.write_text(tomli_w.dumps(settings.model_dump(mode="json", exclude_none=True)))
        stage = Stage(replica, settings, settings_file, folder, lay_ground(settings))
        stage.deploy(settings_file)
        stage.watch.expectations.write_text("")
        stage.watch.start()
        try:
            yield stage
        finally:
            stage.watch.kill()
            stage.mend()
            stage.undeploy()
            stage.forget()
            stage.book.close()
