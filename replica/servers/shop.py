"""The host of the sample shop's releases. On which colour which release runs is said through its API; at first none does.

The colours listen where the load balancer looks for them, and outlive their host: it finds them again.
"""

from __future__ import annotations

import http
import http.client
import json
import os
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from replica.errors import DidNotStart
from replica.server import NotReady, Place, Program, Server, python
from replica.servers.haproxy import COLOURS, ENVIRONMENT, colour_port
from replica.servers.pipeline import pipeline
from replica.state import checkout

TOKEN = "shop.host"  # noqa: S105  its name
_SALT = "shop.salt"
_OWNER, _READER = "shop", "shop_reader"
_FLAG = "new-search"
_LAY_SECONDS = 60
_ANSWER_SECONDS = 5


class Shop(Server):
    """`python -m demo.shop.host`; ready when it tells what runs."""

    name = "shop"
    needs = ("postgres", "flags")
    port_names = ("host",)
    client_ports = ("host",)
    by_default = False
    # What it hosts goes on without it: the next host takes it over.
    ends_leftovers = False
    ready_seconds = 60

    def prepare(self, place: Place) -> None:
        """What the shop's processes are told."""
        place.folder(self.name).mkdir(mode=0o700, exist_ok=True)
        path = settings_file(place)
        path.touch(mode=0o600)
        path.write_text(tomli_w.dumps(_told(place)))

    def provision(self, place: Place) -> None:
        """Tables and products, as whoever deploys the shop would lay them first."""
        done = subprocess.run(
            [python(), "-m", "demo.shop", "lay"],
            check=False,
            capture_output=True,
            text=True,
            cwd=checkout(),
            env=os.environ | _environment(place),
            timeout=_LAY_SECONDS,
        )
        if done.returncode:
            raise DidNotStart(self.name, f"`python -m demo.shop lay` failed: {done.stderr.strip()[-400:]}")
        self._make_repository(place)

    def _make_repository(self, place: Place) -> None:
        """Of its releases: once, since each making is another one."""
        if repository(place).exists():
            return
        command = [python(), "-m", "demo.shop.repository", str(repository(place))]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, cwd=checkout(), timeout=_LAY_SECONDS
        )
        if done.returncode:
            # Half of one would be taken for the whole by the next start.
            shutil.rmtree(repository(place), ignore_errors=True)
            raise DidNotStart(self.name, f"`python -m demo.shop.repository` failed: {done.stderr.strip()[-400:]}")

    def program(self, place: Place) -> Program:
        """Its folder has what should run, and the colours' logs."""
        command = [python(), "-m", "demo.shop.host", "--folder", str(place.folder(self.name) / "colours")]
        command += ["--port", str(place.port(self.name, "host")), "--token", place.secret_ref(TOKEN)]
        for colour in COLOURS:
            command += ["--colour", f"{colour}={colour_port(place, colour)}"]
        return Program(command, _environment(place), directory=checkout(), stop_seconds=30)

    def probe(self, place: Place) -> str:
        """What runs where."""
        told = _ask(place, "/colours")
        return ", ".join(f"{colour} {each['release'] or each['state']}" for colour, each in told.items())

    def settings(self, place: Place) -> Mapping[str, Any]:
        """Where releases are put, and the repository that they come from."""
        described = {
            "url": f"http://127.0.0.1:{place.client_port(self.name, 'host')}",
            "token": place.secret_ref(TOKEN),
        }
        proved = {"url": str(repository(place)), "environment": ENVIRONMENT, "flag": _FLAG}
        return {
            "application_hosts": {ENVIRONMENT: described},
            **pipeline(place, repositories={self.name: proved}),
        }


def repository(place: Place) -> Path:
    """Git's, of the shop's releases."""
    return place.folder(Shop.name) / "repository"


def settings_file(place: Place) -> Path:
    """What SHOP_SETTINGS names."""
    return place.folder(Shop.name) / "shop.toml"


def _told(place: Place) -> dict[str, Any]:
    return {
        "database": _database(place, _READER),
        "owner": _database(place, _OWNER),
        "salt": place.secret_ref(_SALT),
        "flags": _flags(place),
    }


def _database(place: Place, user: str) -> dict[str, str]:
    url = f"postgresql://{user}@127.0.0.1:{place.client_port('postgres', 'sql')}/{_OWNER}"
    return {"url": url, "password": place.secret_ref(f"postgres.{user}")}


def _flags(place: Place) -> dict[str, Any]:
    """Of `[flags]`, what an application needs: tokens and the server's own key are not for it."""
    written = tomllib.loads((place.state / "settings.toml").read_text())["flags"]
    return {name: written[name] for name in ("sync", "authority", "ca_file", "url", "application") if name in written}


def _environment(place: Place) -> dict[str, str]:
    return {"SHOP_SETTINGS": str(settings_file(place))}


def _ask(place: Place, path: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", place.port(Shop.name, "host"), timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {place.secret(TOKEN)}"})
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise NotReady(f"{path}: {type(error).__name__}: {error}") from None
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise NotReady(f"{path} answered {answer.status}")
    return json.loads(content)
