"""The Prefect server, on PostgreSQL, behind its one shared password."""

from __future__ import annotations

import base64
import hashlib
import http
import http.client
import json
import uuid
from pathlib import Path
from typing import Any

from replica.server import NotReady, Place, Program, Server, python

_USER = "steward"


class PrefectServer(Server):
    """API, services and UI in one process."""

    name = "prefect"
    needs = ("postgres",)
    port_names = ("api",)
    client_ports = ("api",)

    def prepare(self, place: Place) -> None:
        """Its home: nothing of it lands in the user's own."""
        place.folder(self.name).mkdir(mode=0o700, exist_ok=True)

    def program(self, place: Place) -> Program:
        """The command of Prefect itself; its secrets travel in the environment, which only this user can read."""
        return Program([python(), "-m", "prefect", "server", "start"], _environment(place), directory=Path("/"))

    def probe(self, place: Place) -> str:
        """An authenticated query that reaches the database, not the health call that answers before it can."""
        flows = ask(place, "POST", "/api/flows/count", {})
        return f"Prefect {ask(place, 'GET', '/api/admin/version')}, {flows} flows"


def auth_string(place: Place) -> str:
    """What clients and the UI's login need, as Prefect spells it: `user:password`."""
    return f"{_USER}:{place.secret('prefect')}"


def api_url(place: Place) -> str:
    """Where clients reach the API: PREFECT_API_URL."""
    return f"http://127.0.0.1:{place.client_port('prefect', 'api')}/api"


def ask(place: Place, method: str, path: str, body: Any = None) -> Any:
    """The decoded answer of the server's own port; NotReady for whatever is not a success."""
    return _ask(place, method, path, body, {} if method == "GET" else _csrf(place))


def _csrf(place: Place) -> dict[str, str]:
    """What a request that may change something carries: a token made for this one client name, good for an hour."""
    # A name for each request: a second token for one name would void the first, and probes run side by side.
    client = str(uuid.uuid4())
    token = _ask(place, "GET", f"/api/csrf-token?client={client}", None, {})["token"]
    return {"Prefect-Csrf-Client": client, "Prefect-Csrf-Token": token}


def _ask(place: Place, method: str, path: str, body: Any, more: dict[str, str]) -> Any:
    token = base64.b64encode(auth_string(place).encode()).decode()
    headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json", **more}
    connection = http.client.HTTPConnection("127.0.0.1", place.port("prefect", "api"), timeout=5)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise NotReady(f"{method} {path}: {error}") from None
    finally:
        connection.close()
    if answer.status >= http.HTTPStatus.BAD_REQUEST:
        raise NotReady(f"{method} {path} answered {answer.status}: {text[:200].decode(errors='replace')}")
    return json.loads(text)


def _environment(place: Place) -> dict[str, str]:
    home = place.folder("prefect")
    password, port = place.secret("postgres.prefect"), place.client_port("postgres", "sql")
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(place.port("prefect", "api")),
        "PREFECT_SERVER_API_AUTH_STRING": auth_string(place),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://prefect:{password}@127.0.0.1:{port}/prefect",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # Off by default, and then any page that an operator has open could start a run with the operator's login.
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        # Without it the key to the Secret blocks lies in the same database as they do.
        "PREFECT_SERVER_ENCRYPTION_KEY": _encryption_key(place),
        # The default keeps leases in memory: holder and server both killed would leave a slot taken for ever.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        # By default each event is a transaction of its own: four times the work. An interval below 1 s counts as none at all.
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "50",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
        # The default is inside the installed package, which may be read-only and is shared between replicas.
        "PREFECT_UI_STATIC_DIRECTORY": str(home / "ui"),
    }


def _encryption_key(place: Place) -> str:
    """A key as Fernet takes it: 32 bytes in URL-safe base64."""
    return base64.urlsafe_b64encode(hashlib.sha256(place.secret("prefect.encryption").encode()).digest()).decode()
