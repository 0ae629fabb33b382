"""One flag server, between the replica's database and the SDKs of its applications.

What production's operators do before it is started for the first time is done here before each start: migrations, a certificate, tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from replica.server import Place, Program, Server, python
from replica.servers.services import environment, healthy_lines, migrate
from replica.state import checkout

OPERATOR, VIEWER = "flags.operator", "flags.viewer"
"""The secrets that are the tokens of who changes flags, and of who looks at them."""
_ANSWER_SECONDS = 2


class Flags(Server):
    """`python -m services.flags serve`, as production runs it."""

    name = "flags"
    needs = ("postgres",)
    port_names = ("sync", "http")
    client_ports = ("sync", "http")
    # Snapshots, keys and costs need no flags: `up --only flags` for whoever does.
    by_default = False
    ready_seconds = 60

    def prepare(self, place: Place) -> None:
        """Its certificate, by the replica's authority."""
        place.certificate(self.name)

    def provision(self, place: Place) -> None:
        """Steward's own command, harmless where it is done already."""
        migrate(place, self.name)

    def program(self, place: Place) -> Program:
        """One server."""
        command = [python(), "-m", "services.flags", "serve"]
        command += ["--sync-port", str(place.port(self.name, "sync")), "--port", str(place.port(self.name, "http"))]
        return Program(command, environment(place), directory=checkout(), stop_seconds=10)

    def probe(self, place: Place) -> str:
        """It has flags to serve, and says how it stands to the database."""
        return ", ".join(healthy_lines(place.port(self.name, "http"), seconds=_ANSWER_SECONDS))

    def settings(self, place: Place) -> Mapping[str, Any]:
        """Where it is, both tokens, and the user as whom applications count outcomes."""
        certificate, key = place.certificate(self.name)
        database = f"127.0.0.1:{place.client_port('postgres', 'sql')}"
        return {
            "flags": {
                "sync": f"127.0.0.1:{place.client_port(self.name, 'sync')}",
                "url": f"http://127.0.0.1:{place.client_port(self.name, 'http')}",
                "ca_file": str(place.ca_file),
                "certificate": str(certificate),
                "certificate_key": str(key),
                "tokens": {
                    "operator": {"role": "writer", "token": place.secret_ref(OPERATOR)},
                    "viewer": {"role": "reader", "token": place.secret_ref(VIEWER)},
                },
                "application": {
                    "url": f"postgresql://flags_application@{database}/steward",
                    "password": place.secret_ref("postgres.flags_application"),
                },
            }
        }


def _environment(place: Place) -> dict[str, str]:
    return {"STEWARD_SETTINGS": str(place.state / "settings.toml")}
