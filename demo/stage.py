"""Where the demo plays: a replica that is up, reached by the files that it wrote for its users."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient

from demo.commands import Shell
from replica import inventory
from replica.servers import SERVERS
from replica.state import checkout, default_state, open_place
from steward.errors import BadInput
from steward.settings import VARIABLE, Settings, load

API_URL = "PREFECT_API_URL"
AUTH_STRING = "PREFECT_API_AUTH_STRING"


@dataclass(frozen=True)
class Stage:
    """A running platform, and how to reach it."""

    shell: Shell
    settings: Settings
    environment_file: Path
    """For a person's shell: it also holds what the UI asks for."""

    @property
    def ui_url(self) -> str:
        """Where a browser finds Prefect."""
        return self.shell.environment[API_URL].removesuffix("/api")

    def prefect(self) -> SyncPrefectClient:
        """A client of its Prefect server; use it in `with`."""
        environment = self.shell.environment
        return SyncPrefectClient(environment[API_URL], auth_string=environment[AUTH_STRING])


def open_stage(state: Path | None) -> Stage:
    """The replica in *state*, or in the usual place. NotAReplica or BadInput where none is up."""
    place = open_place((state or default_state()).absolute(), SERVERS)
    file = inventory.environment_file(place)
    if not file.exists():
        raise BadInput(f"the replica in {place.state} was never up: it has no {file.name}", hint="run make up first")
    reached = inventory.environment(place)
    home = place.state / "demo"
    home.mkdir(mode=0o700, exist_ok=True)
    # A home of its own: no profile of the person who runs the demo can lead it to another Prefect server.
    environment = {**os.environ, **reached, "PREFECT_HOME": str(home)}
    shell = Shell(checkout(), environment, place.state / "logs")
    return Stage(shell, load(Path(reached[VARIABLE])), file)
