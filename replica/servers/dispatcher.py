"""The dispatcher of webhooks: what the receiver has stored becomes Prefect's runs."""

from __future__ import annotations

import http
import http.client

from replica.server import NotReady, Place, Program, Server, python
from replica.servers.prefect import api_url, auth_string
from replica.state import checkout

_ANSWER_SECONDS = 5


class Dispatcher(Server):
    """`python -m services.webhooks dispatch`, as production runs it."""

    name = "dispatcher"
    # The receiver's start lays the inbox. Prefect may go away later: what waits for it waits.
    needs = ("webhooks", "prefect")
    port_names = ("metrics",)
    # Nobody sends anything before deliveries are what somebody is about.
    by_default = False
    ready_seconds = 60

    def prepare(self, place: Place) -> None:
        """Its home, for what Prefect's client keeps."""
        place.folder(self.name).mkdir(mode=0o700, exist_ok=True)

    def program(self, place: Place) -> Program:
        """One dispatcher, by the shipped rules."""
        environment = {
            "STEWARD_SETTINGS": str(place.state / "settings.toml"),
            "PREFECT_API_URL": api_url(place),
            "PREFECT_API_AUTH_STRING": auth_string(place),
            "PREFECT_API_SSL_CERT_FILE": str(place.ca_file),
            "PREFECT_HOME": str(place.folder(self.name)),
        }
        port = str(place.port(self.name, "metrics"))
        command = [python(), "-m", "services.webhooks", "dispatch", "--port", port]
        return Program(command, environment, directory=checkout(), stop_seconds=10)

    def probe(self, place: Place) -> str:
        """Its threads run, and it has read the inbox."""
        connection = http.client.HTTPConnection("127.0.0.1", place.port(self.name, "metrics"), timeout=_ANSWER_SECONDS)
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
