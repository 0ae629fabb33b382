"""One worker of the gateway to AI providers, between the replica's callers and the providers' twins.

What production's operators do before a gateway is started for the first time is done here before each start: migrations, the
limiter's functions, a caller's key.
"""

from __future__ import annotations

import hashlib
import http
import http.client
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from replica.errors import DidNotStart
from replica.server import NotReady, Place, Program, Server, python
from replica.servers import provider_keys
from replica.state import checkout

CALLER = "gateway.caller"
"""The secret that is the caller's key."""
_ID, _TENANT = "replica", "acme"
# `steward migrate` of an empty database beside Elasticsearch's four nodes that start.
_STEP_SECONDS = 120
_ANSWER_SECONDS = 2


class Gateway(Server):
    """`python -m services.gateway serve`, as production runs it."""

    name = "gateway"
    needs = ("postgres", "redis-1", "keyvault", "providers")
    port_names = ("http",)
    client_ports = ("http",)
    ready_seconds = 60

    def prepare(self, place: Place) -> None:
        """Who may call: one key, for one tenant."""
        folder = place.folder(self.name)
        folder.mkdir(mode=0o700, exist_ok=True)
        caller = {"id": _ID, "sha256": hashlib.sha256(place.secret(CALLER).encode()).hexdigest(), "tenant": _TENANT}
        content = tomli_w.dumps({"caller": [caller]})
        # What an operator adds to it by hand stays.
        if not callers_file(place).exists():
            callers_file(place).write_text(content)

    def provision(self, place: Place) -> None:
        """Steward's own commands, each harmless where it is done already."""
        for words in (["migrate"], ["limits", "load"]):
            done = subprocess.run(
                [python(), "-m", "steward", *words],
                check=False,
                capture_output=True,
                text=True,
                cwd=checkout(),
                env=os.environ | _environment(place),
                timeout=_STEP_SECONDS,
            )
            if done.returncode:
                raise DidNotStart(self.name, f"`steward {' '.join(words)}` failed: {done.stderr.strip()[-400:]}")

    def program(self, place: Place) -> Program:
        """One worker; started anew where the catalog changed."""
        command = [python(), "-m", "services.gateway", "serve"]
        command += ["--port", str(place.port(self.name, "http")), "--name", "gateway-1"]
        catalog = hashlib.sha256(_catalog().read_bytes()).hexdigest()
        return Program(command, {**_environment(place), "STEWARD_CATALOG": catalog}, directory=checkout())

    def probe(self, place: Place) -> str:
        """It is alive, and its caller is told what may be asked for."""
        _ask(place, "/healthz")
        listed = json.loads(_ask(place, "/v1/models"))
        return f"gateway to {', '.join(each['id'] for each in listed['data'])}"

    def settings(self, place: Place) -> Mapping[str, Any]:
        """The shipped catalog, whose models are some of the twins', the accounts that it names, and what they may cost."""
        return {
            "costs": {name: str(_shipped("costs", f"{name}.toml")) for name in ("prices", "budgets", "terms")},
            "gateway": {"catalog": str(_catalog()), "callers": str(callers_file(place))},
            "providers": provider_keys.settings(place),
        }


def address(place: Place) -> str:
    """Without the `/v1` that OpenAI's SDK wants behind it."""
    return f"http://127.0.0.1:{place.client_port(Gateway.name, 'http')}"


def callers_file(place: Place) -> Path:
    """Who may ask."""
    return place.folder(Gateway.name) / "callers.toml"


def _catalog() -> Path:
    return _shipped("gateway", "catalog.toml")


def _shipped(*names: str) -> Path:
    return checkout().joinpath("deployments", *names)


def _environment(place: Place) -> dict[str, str]:
    return {"STEWARD_SETTINGS": str(place.state / "settings.toml")}


def _ask(place: Place, path: str) -> bytes:
    port = place.port(Gateway.name, "http")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {place.secret(CALLER)}"})
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise NotReady(f"{path}: {type(error).__name__}: {error}") from None
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise NotReady(f"{path} answered {answer.status}")
    return content
