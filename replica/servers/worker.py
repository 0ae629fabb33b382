"""One process worker: it runs flows from the checkout, with the replica's settings, as its pool's template says."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

from replica.server import NotReady, Place, Program, Server, python
from replica.servers.prefect import api_url, ask, auth_string
from replica.state import checkout

POOL = "steward"
_NAME = "replica"
_HEARTBEAT_SECONDS = 5


class Worker(Server):
    """`prefect worker start`, which makes the pool if there is none."""

    name = "worker"
    needs = ("prefect",)
    # A worker's flows outlive it when it is killed, here as in production: drills need to see that.
    ends_leftovers = False

    def prepare(self, place: Place) -> None:
        """Its home."""
        place.folder(self.name).mkdir(mode=0o700, exist_ok=True)

    def program(self, place: Place) -> Program:
        """Polls twice a second: the default of ten seconds makes up most of the wait from a run's creation to its start."""
        command = [python(), "-m", "prefect", "worker", "start", "--type", "process", "--pool", POOL]
        command += ["--base-job-template", str(checkout() / "deployments" / "work_pools" / "process.json")]
        environment = {
            # The template's command is `python`: this installation's, whatever the caller's shell has first.
            "PATH": f"{Path(python()).parent}{os.pathsep}{os.defpath}",
            "STEWARD_SETTINGS": str(place.state / "settings.toml"),
            "PREFECT_API_URL": api_url(place),
            "PREFECT_API_AUTH_STRING": auth_string(place),
            "PREFECT_API_SSL_CERT_FILE": str(place.ca_file),
            "PREFECT_HOME": str(place.folder(self.name)),
            "PREFECT_WORKER_QUERY_SECONDS": "0.5",
            "PREFECT_WORKER_HEARTBEAT_SECONDS": str(_HEARTBEAT_SECONDS),
        }
        return Program([*command, "--name", _NAME], environment, directory=checkout())

    def probe(self, place: Place) -> str:
        """The server has it ONLINE, by a heartbeat younger than its present process."""
        workers = ask(place, "POST", f"/api/work_pools/{POOL}/workers/filter", {})
        mine = [worker for worker in workers if worker["name"] == _NAME]
        if not mine or mine[0]["status"] != "ONLINE":
            raise NotReady(f"the Prefect server has no worker {_NAME} online in pool {POOL}")
        age = _heartbeat_age_seconds(mine[0])
        if age > min(3 * _HEARTBEAT_SECONDS, place.seconds_since_start(self.name)):
            raise NotReady(f"the worker's last heartbeat is {age:.0f} s old, of an earlier process or a stuck one")
        return f"online in pool {POOL}, heartbeat {age:.0f} s ago"


def _heartbeat_age_seconds(worker: dict[str, Any]) -> float:
    beat = dt.datetime.fromisoformat(worker["last_heartbeat_time"])
    return (dt.datetime.now(dt.UTC) - beat).total_seconds()
