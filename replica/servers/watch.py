"""The watch: takes up abandoned operations. It needs the database's address, and waits for everything else itself."""

from __future__ import annotations

import http
import http.client

from replica.server import NotReady, Place, Program, Server, python
from replica.servers.prefect import api_url, auth_string
from replica.state import checkout


class Watch(Server):
    """`python -m services.watch`, as production runs it."""

    name = "watch"
    # Neither Prefect nor migrations: it says what is missing, and goes on when that is there.
    needs = ("postgres",)
    port_names = ("metrics",)

    def prepare(self, place: Place) -> None:
        """Its home, for what Prefect's client keeps."""
        place.folder(self.name).mkdir(mode=0o700, exist_ok=True)

    def program(self, place: Place) -> Program:
        """With the checkout's own expectations."""
        environment = {
            "STEWARD_SETTINGS": str(place.state / "settings.toml"),
            "PREFECT_API_URL": api_url(place),
            "PREFECT_API_AUTH_STRING": auth_string(place),
            "PREFECT_API_SSL_CERT_FILE": str(place.ca_file),
            "PREFECT_HOME": str(place.folder(self.name)),
        }
        listen = f"127.0.0.1:{place.port(self.name, 'metrics')}"
        return Program([python(), "-m", "services.watch", "--listen", listen], environment, directory=checkout())

    def probe(self, place: Place) -> str:
        """Its loops turn; what it says of the database and of Prefect."""
        connection = http.client.HTTPConnection("127.0.0.1", place.port(self.name, "metrics"), timeout=5)
        try:
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            lines = answer.read().decode().splitlines()
        except (OSError, http.client.HTTPException) as error:
            raise NotReady(f"/healthz: {error}") from None
        finally:
            connection.close()
        if answer.status != http.HTTPStatus.OK:
            raise NotReady(lines[0] if lines else f"/healthz answered {answer.status}")
        return ", ".join(lines[1:])
