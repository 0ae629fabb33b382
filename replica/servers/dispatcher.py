"""The dispatcher of webhooks: what the receiver has stored becomes Prefect's runs."""

from __future__ import annotations

from replica.server import NotReady, Place, Program, Server, python
from replica.servers.prefect import api_url, auth_string
from replica.servers.services import environment, healthy_lines
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
        told = {
            **environment(place),
            "PREFECT_API_URL": api_url(place),
            "PREFECT_API_AUTH_STRING": auth_string(place),
            "PREFECT_API_SSL_CERT_FILE": str(place.ca_file),
            "PREFECT_HOME": str(place.folder(self.name)),
        }
        port = str(place.port(self.name, "metrics"))
        command = [python(), "-m", "services.webhooks", "dispatch", "--port", port]
        return Program(command, told, directory=checkout(), stop_seconds=10)

    def probe(self, place: Place) -> str:
        """Its threads run, and it has read the inbox."""
        lines = healthy_lines(place.port(self.name, "metrics"), seconds=_ANSWER_SECONDS)
        if "database: answers" not in lines:
            raise NotReady("; ".join(lines))
        return ", ".join(lines)
