"""One receiver of webhooks, between whoever sends them and the replica's database.

What production's operators do before it is started for the first time is done here before each start: migrations, and a secret for
each sender.
"""

from __future__ import annotations

import base64
import http
import http.client
import os
import secrets
import subprocess
from collections.abc import Mapping
from typing import Any

from replica.errors import DidNotStart
from replica.secrets import place_once
from replica.server import NotReady, Place, Program, Server, python
from replica.servers.pipeline import pipeline
from replica.state import checkout

GITHUB, CI = "webhooks.github", "webhooks.ci"
"""The secrets that GitHub signs with, and that any other tool does."""
# `steward migrate` of an empty database beside Elasticsearch's four nodes that start.
_STEP_SECONDS = 120
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
        done = subprocess.run(
            [python(), "-m", "steward", "migrate"],
            check=False,
            capture_output=True,
            text=True,
            cwd=checkout(),
            env=os.environ | _environment(place),
            timeout=_STEP_SECONDS,
        )
        if done.returncode:
            raise DidNotStart(self.name, f"`steward migrate` failed: {done.stderr.strip()[-400:]}")

    def program(self, place: Place) -> Program:
        """One receiver."""
        command = [python(), "-m", "services.webhooks", "serve", "--port", str(place.port(self.name, "http"))]
        return Program(command, _environment(place), directory=checkout(), stop_seconds=10)

    def probe(self, place: Place) -> str:
        """It knows every secret, and reaches the inbox."""
        connection = http.client.HTTPConnection("127.0.0.1", place.port(self.name, "http"), timeout=_ANSWER_SECONDS)
        try:
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            lines = answer.read().decode().splitlines()
        except (OSError, http.client.HTTPException) as error:
            raise NotReady(f"/healthz: {type(error).__name__}: {error}") from None
        finally:
            connection.close()
        if answer.status != http.HTTPStatus.OK or "database: answers" not in lines:
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
