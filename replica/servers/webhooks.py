"""One receiver of webhooks, between whoever sends them and the replica's database.

What production's operators do before it is started for the first time is done here before each start: migrations, and a secret for
each sender.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from typing import Any

from replica.secrets import place_once
from replica.server import NotReady, Place, Program, Server, python
from replica.servers.pipeline import pipeline
from replica.servers.services import environment, healthy_lines, migrate
from replica.state import checkout

GITHUB, CI = "webhooks.github", "webhooks.ci"
"""The secrets that GitHub signs with, and that any other tool does."""
_ANSWER_SECONDS = 2


class Webhooks(Server):
    """`python -m services.webhooks serve`, as production runs it."""

    name = "webhooks"
    needs = ("postgres",)
    port_names = ("http",)
    client_ports = ("http",)
    # Nobody sends anything before deliveries are what somebody is about.
    by_default = False
    ready_seconds = 60

    def prepare(self, place: Place) -> None:
        """A secret for each sender."""
        place.secret(GITHUB)
        # As Standard Webhooks writes them.
        key = base64.b64encode(secrets.token_bytes(32))
        place_once(place.state / "secrets" / CI, b"whsec_" + key)

    def provision(self, place: Place) -> None:
        """Steward's own command, harmless where it is done already."""
        migrate(place, self.name)

    def program(self, place: Place) -> Program:
        """One receiver."""
        command = [python(), "-m", "services.webhooks", "serve", "--port", str(place.port(self.name, "http"))]
        return Program(command, environment(place), directory=checkout(), stop_seconds=10)

    def probe(self, place: Place) -> str:
        """It knows every secret, and reaches the inbox."""
        lines = healthy_lines(place.port(self.name, "http"), seconds=_ANSWER_SECONDS)
        if "database: answers" not in lines:
            raise NotReady("; ".join(lines))
        return ", ".join(lines)

    def settings(self, place: Place) -> Mapping[str, Any]:
        """Where it is, and two senders: GitHub, and one that signs as Standard Webhooks has it."""
        self.prepare(place)
        url = f"http://127.0.0.1:{place.client_port(self.name, 'http')}"
        return {
            # The pipeline is such a tool: it tells of proved releases.
            **pipeline(place, announce={"url": f"{url}/webhooks/ci", "secret": place.secret_ref(CI)}),
            "webhooks": {
                "url": url,
                "sources": {
                    "github": {"kind": "github", "secrets": [place.secret_ref(GITHUB)]},
                    "ci": {"kind": "signed", "secrets": [place.secret_ref(CI)]},
                },
            },
        }


def _environment(place: Place) -> dict[str, str]:
    return {"STEWARD_SETTINGS": str(place.state / "settings.toml")}
