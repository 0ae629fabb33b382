"""The drill's stage in a replica: the flow deployed with a gate in it, a steady release with users, and who watches them."""

import contextlib
import json
import time
import tomllib
from contextlib import ExitStack, contextmanager

import tomli_w
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.states import Scheduled

from demo.shop.users import Load, coming
from flows.production_rollout import production_rollout
from replica import inventory, start, stop
from replica.servers import SERVERS
from replica.servers.worker import POOL
from replica.supervision import Keeper
from steward.clients.application_host import open_application_host
from steward.clients.rollouts_reading import read_baseline
from steward.rollout.preconditions import NotReady
from steward.settings import load
from tests.drills.rollout.seeing import ROOT, observing
from tests.flows import rollout_ground as ground
from tests.flows.prefect_server import recording_in

#: Of the ledger: shorter than production's, so that the drill waits less for the dead.
LEASE_SECONDS, HEARTBEAT_SECONDS = 4.0, 1.0
RATE = 10
NEEDED = ("postgres", "s3", "keyvault", "prefect", "haproxy", "prometheus", "flags", "shop", "watch", "worker")
#: No promise: what takes longer will not come any more.
PATIENCE_SECONDS = 180


class Stage:
    """What a case needs to begin, to be met and to be judged."""

    def __init__(self, replica, settings, gate, observers) -> None:
        self.replica, self.settings, self.gate, self.observers = replica, settings, gate, observers
        self.users, self._coming = None, ExitStack()
        self.deployment_id = None

    def call_users(self):
        """They come all the while; who they are tells their number of calls, for nobody is to come twice as another."""
        url = self.settings.balancer(ground.ENVIRONMENT).url
        load = Load(url=url, rate=RATE, seconds=86_400, think_seconds=0.2, seed=time.time_ns() % 1_000_000)
        self.users = self._coming.enter_context(coming(load))

    def send_users_home(self):
        self._coming.close()

    @contextmanager
    def without_users(self):
        self.send_users_home()
        try:
            yield
        finally:
            self.call_users()

    def deploy(self, settings_file):
        with get_client(sync_client=True) as client:
            environment = {"STEWARD_SETTINGS": str(settings_file), "STEWARD_DRILL_GATE": str(self.gate)}
            self.deployment_id = client.create_deployment(
                flow_id=client.create_flow_from_name(production_rollout.name),
                name=f"drill-{time.time_ns()}",
                entrypoint="tests.drills.rollout.held.production_rollout",
                work_pool_name=POOL,
                pull_steps=[],
                job_variables={"env": environment, "working_dir": str(ROOT)},
            )

    def undeploy(self):
        with get_client(sync_client=True) as client:
            client.delete_deployment(self.deployment_id)

    def begin(self, request):
        """A run of it, as a click makes it: its id."""
        with get_client(sync_client=True) as client:
            asked = {"request": request.model_dump(mode="json")}
            return client.create_flow_run_from_deployment(self.deployment_id, parameters=asked, state=Scheduled()).id

    def unended(self):
        """Runs that Prefect shows as not ended."""
        with get_client(sync_client=True) as client:
            mine = DeploymentFilter(id=DeploymentFilterId(any_=[self.deployment_id]))
            runs = client.read_flow_runs(deployment_filter=mine)
        return [f"{run.id} {run.state.name}" for run in runs if not run.state.is_final()]

    def arm(self, place):
        """Nobody is held, and whoever comes there first will be."""
        for name in ("held", "released"):
            (self.gate / name).unlink(missing_ok=True)
        (self.gate / "gate.json").write_text(json.dumps([place.at, place.step, place.key]))

    def held(self):
        """The pid of whoever is."""
        with contextlib.suppress(FileNotFoundError):
            return int((self.gate / "held").read_text())
        return None

    def let_go(self):
        (self.gate / "released").touch()

    def mend(self, *names):
        """Up and answering: these servers, or all of the stage."""
        start.up(self.replica.state, SERVERS, list(names or NEEDED), say=lambda _: None)


@contextmanager
def staged(replica, folder):
    """The stage in *replica*, its files in *folder*."""
    before = {name for name in NEEDED if Keeper(replica.state).process(name).state.is_up}
    start.up(replica.state, SERVERS, list(NEEDED))
    settings_file, gate = folder / "settings.toml", folder / "gate"
    gate.mkdir()
    written = tomllib.loads(inventory.settings_file(replica).read_text())
    written["operations"] = {"lease_seconds": LEASE_SECONDS, "heartbeat_seconds": HEARTBEAT_SECONDS}
    settings_file.write_text(tomli_w.dumps(written))
    settings = load(settings_file)
    ground.lay(settings)
    with recording_in(replica), observing(replica, settings, ground.FLAG, folder) as observers:
        stage = Stage(replica, settings, gate, observers)
        stage.call_users()
        stage.deploy(settings_file)
        try:
            yield stage
        finally:
            stage.mend()
            stage.undeploy()
            stage.send_users_home()
    with open_application_host(settings, ground.ENVIRONMENT) as host:
        for colour in ("blue", "green"):
            host.empty(colour)
    if left := [name for name in NEEDED if name not in before]:
        stop.down(replica.state, SERVERS, left)


def has_baseline(settings):
    try:
        return bool(read_baseline(settings, ground.plan(), "blue"))
    except NotReady:
        return False
