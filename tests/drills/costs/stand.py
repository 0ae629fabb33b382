"""Where one case takes place: runs that die, runs that live, and the worker and the watch that the children of a run have."""

import json
import secrets
import sys
import tempfile
import threading
from contextlib import contextmanager
from multiprocessing.util import get_temp_dir
from pathlib import Path

from prefect import tags
from prefect.client.orchestration import get_client

from flows.reconcile_days import reconcile_days
from replica.servers.worker import POOL
from services.watch.runs import connected
from tests.flows.killed_runs import run_killed
from tests.flows.provider_ground import written
from tests.keyring_ground import query
from tests.watching.ground import InProcess

ROOT = Path(__file__).parents[3]
_EXPIRE = "UPDATE steward.operations SET lease_until = now() - interval '1 hour' WHERE name = %s AND state = 'running'"
_DEAD_CHILDREN = """
SELECT count(*) FROM steward.operations AS child
 WHERE name = 'reconcile-days' AND state = 'running' AND lease_until < now()
   AND EXISTS (SELECT FROM steward.operations WHERE name = 'cost-reconciliation' AND lease_until > now())
"""


class Stand:
    """Where one case takes place."""

    def __init__(self, ground, settings, folder, monkeypatch) -> None:
        self.ground, self.settings, self.folder = ground, settings, folder
        self.file, self._environment = folder / "settings.toml", monkeypatch
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.met = []
        self.settle(settings)
        # Made here and now, where this process has its own: it is kept to the process's end, and the case's is not.
        get_temp_dir()
        monkeypatch.setattr(tempfile, "tempdir", str(self.temporary))

    def settle(self, settings):
        """For whoever runs from now on."""
        self.settings, self.file = settings, written(settings, self.folder)
        self._environment.setenv("STEWARD_SETTINGS", str(self.file))

    def killed(self, flow, request, period, deaths):
        """One process after another, each of which dies there."""
        told, name = request.model_dump(mode="json"), f"{flow.fn.__module__}.{flow.fn.__name__}"
        for death in deaths:
            run_killed(self.ground.place, self.file, name, told, death, period=period, temporary=self.temporary)
            self.met.append(death)
            # It is dead: its lease is not waited for.
            query(self.settings, _EXPIRE, flow.name)

    def run(self, flow, request, period):
        with tags(f"period:{period}"):
            return flow(request)


@contextmanager
def worker(stand, deaths):
    """The deployment of a day's runs in this case's ledger, the first of which die."""
    folder = stand.folder / "deaths"
    folder.mkdir()
    for number, death in enumerate(deaths):
        (folder / f"{number}.json").write_text(json.dumps(death._asdict()))
    told = {
        "STEWARD_SETTINGS": str(stand.file),
        "STEWARD_DRILL_DEATHS": str(folder),
        "TMPDIR": str(stand.temporary),
    }
    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(
            flow_id=client.create_flow_from_name(reconcile_days.name),
            name=reconcile_days.name,
            entrypoint="flows.reconcile_days.reconcile_days",
            work_pool_name=POOL,
            pull_steps=[],
            job_variables={
                "command": f"{sys.executable} -m tests.drills.costs.child",
                "env": told,
                "working_dir": str(ROOT),
            },
        )
        try:
            yield
        finally:
            client.delete_deployment(deployment)
    assert not [*folder.glob("*.json")], "a run of days was to die, and lived"
    stand.met += deaths


@contextmanager
def reaper(stand):
    """The watch's own, over this case's ledger; never over a reconciliation, which the drill takes up by itself."""
    over, watch = threading.Event(), InProcess(stand.settings)

    def reap():
        with connected() as runs:
            while not over.wait(0.5):
                if query(stand.settings, _DEAD_CHILDREN) != [(0,)]:
                    watch.reap(runs)

    thread = threading.Thread(target=reap, name=f"reaper-{secrets.token_hex(2)}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        watch.situation.ledger.close()
