"""The fault proxy as a server of the replica: there only after `up --with-proxies`, for it costs what it carries."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from replica.selection import PROXIES
from replica.server import NotReady, Place, Program, Server, python


class Proxies(Server):
    """One process for every client port of *servers*."""

    name = PROXIES

    def __init__(self, servers: Sequence[Server]) -> None:
        self.port_names = tuple(f"{server.name}.{port}" for server in servers for port in server.client_ports)

    def prepare(self, place: Place) -> None:
        """Its routes."""
        folder = place.folder(self.name)
        folder.mkdir(mode=0o700, exist_ok=True)
        routes = {name: [place.port(self.name, name), place.ports[name]] for name in self.port_names}
        described = {"control": str(control_socket(place)), "routes": routes}
        (folder / "routes.json").write_text(json.dumps(described, indent=1))

    def program(self, place: Place) -> Program:
        """The proxy itself."""
        return Program([python(), "-m", "replica.proxy", str(place.folder(self.name) / "routes.json")])

    def probe(self, place: Place) -> str:
        """Asks for the faults in force."""
        try:
            routes = command(place, {"do": "list"})
        except (OSError, ValueError) as error:
            raise NotReady(f"the proxy does not answer: {error}") from None
        faulty = [name for name, state in routes.items() if state["partitioned"] or state["delay_seconds"]]
        return f"{len(routes)} routes, faults on {', '.join(faulty) or 'none'}"

    def settle(self, place: Place) -> None:
        """Heals: after `up` every server can be reached."""
        command(place, {"do": "heal", "server": "*"})


def control_socket(place: Place) -> Path:
    """Where the proxy takes commands."""
    return place.folder(PROXIES) / "control.sock"


def command(place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """The proxy's answer to *request*: the state of each route. OSError where no proxy runs."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        connection.connect(str(control_socket(place)))
        with connection.makefile("rw") as stream:
            stream.write(json.dumps(request) + "\n")
            stream.flush()
            return dict(json.loads(stream.readline()))
