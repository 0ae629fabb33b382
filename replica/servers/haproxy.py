"""The load balancer before the application's two colours, blue and green, with or without an application there.

Weights and states that were set at run time outlive a reload, a crash and `up`: Steward's client saves them.
"""

from __future__ import annotations

import hashlib
import http
import http.client
import os
import signal
import socket
import time
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from replica.errors import NotRunning
from replica.server import NotReady, Place, Program, Server
from replica.servers import debians
from replica.supervision import Keeper

#: The environment of the replica's own application, and what HAProxy calls that.
ENVIRONMENT = "production"
BACKEND = "app"
COLOURS = ("blue", "green")

_SECONDS = 2
_RELOAD_SECONDS = 20
# What HAProxy reads as: a state in which nothing is known of any server.
_NO_STATE = "1\n"
# Columns of a line of a state file, of HAProxy's format 1.
_SERVER, _PORT = 3, 18


class HAProxy(Server):
    """Ready means: it answers clients and the runtime API. Servers of the application may all be down."""

    name = "haproxy"
    port_names = ("http", "metrics")
    client_ports = ("http",)
    # Where the application's colours listen: started and ended by others, and there before or after.
    reserved_ports = COLOURS
    by_default = False
    ready_seconds = 30

    def prepare(self, place: Place) -> None:
        """The configuration, and a state file to begin with."""
        folder = place.folder(self.name)
        folder.mkdir(mode=0o700, exist_ok=True)
        template = Template((resources.files("deployments") / "haproxy" / "haproxy.cfg").read_text())
        ports = {f"{name}_port": place.port(self.name, name) for name in (*self.port_names, *COLOURS)}
        path = _configuration(place)
        path.touch(mode=0o600)
        path.write_text(
            template.substitute(address="127.0.0.1", runtime=runtime(place), state_file=state_file(place), **ports)
        )
        _keep_state(place)

    def program(self, place: Place) -> Program:
        """A master and its worker; the digest has them started anew where the configuration changed."""
        command = [str(debians.find("haproxy", self.name)), "-W", "-f", str(_configuration(place))]
        digest = hashlib.sha256(_configuration(place).read_bytes()).hexdigest()
        return Program(command, {"STEWARD_CONFIGURATION": digest}, directory=place.folder(self.name))

    def probe(self, place: Place) -> str:
        """The runtime API's word on both colours, and an answer over HTTP."""
        _ask_http(place)
        try:
            version = _fields(ask(place, "show info"))["Version"]
            rows = _rows(ask(place, f"show stat {BACKEND} 4 -1"))
        except (OSError, LookupError) as error:
            raise NotReady(f"the runtime API does not answer: {error!r}") from None
        told = ", ".join(f"{row['svname']} {row['status']} at {row['uweight']} %" for row in rows)
        return f"HAProxy {version.partition('-')[0]}, {told}"

    def settings(self, place: Place) -> Mapping[str, Any]:
        """Where users reach it, and where its clients move their traffic."""
        described = {
            "url": f"http://127.0.0.1:{place.client_port(self.name, 'http')}",
            "runtime": f"unix:{runtime(place)}",
            "backend": BACKEND,
            "state_file": str(state_file(place)),
        }
        return {"balancers": {ENVIRONMENT: described}}


def runtime(place: Place) -> Path:
    """The socket of its runtime API. Short: HAProxy binds it by a longer name first."""
    return place.folder(HAProxy.name) / "api.sock"


def state_file(place: Place) -> Path:
    """What it begins with: weights and states as they were saved last."""
    return place.folder(HAProxy.name) / "state"


def colour_port(place: Place, colour: str) -> int:
    """Where it looks for *colour*, "blue" or "green"."""
    return place.port(HAProxy.name, colour)


def ask(place: Place, command: str) -> str:
    """The runtime API's answer. OSError where there is none within 2 s."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_SECONDS)
        connection.connect(str(runtime(place)))
        connection.sendall(f"{command}\n".encode())
        with connection.makefile("rb") as stream:
            return stream.read().decode()


def reload(place: Place) -> None:
    """As `systemctl reload haproxy`: a new worker with the configuration and state that lie there; NotRunning, NotReady."""
    master = Keeper(place.state).process(HAProxy.name)
    if not master.state.is_up:
        raise NotRunning("haproxy does not run", hint="python -m replica up --only haproxy")
    before = _fields(ask(place, "show info"))["Pid"]
    os.kill(master.pid, signal.SIGUSR2)
    deadline = time.monotonic() + _RELOAD_SECONDS
    while _fields(ask(place, "show info"))["Pid"] == before:
        if time.monotonic() > deadline:
            raise NotReady(f"the worker {before} is still there {_RELOAD_SECONDS} s after a reload")
        time.sleep(0.05)


def _configuration(place: Place) -> Path:
    return place.folder(HAProxy.name) / "haproxy.cfg"


def _keep_state(place: Place) -> None:
    """Of a state that was saved with other ports nothing is kept: HAProxy would look for the colours there."""
    path = state_file(place)
    told = [line.split() for line in path.read_text().splitlines() if BACKEND in line] if path.exists() else []
    ports = {fields[_SERVER]: fields[_PORT] for fields in told if len(fields) > _PORT}
    if not path.exists() or any(ports.get(colour, port) != port for colour, port in _ports(place).items()):
        path.touch(mode=0o600)
        path.write_text(_NO_STATE)


def _ports(place: Place) -> dict[str, str]:
    return {colour: str(colour_port(place, colour)) for colour in COLOURS}


def _fields(answer: str) -> dict[str, str]:
    pairs = (line.partition(": ") for line in answer.splitlines())
    return {name: value for name, _, value in pairs}


def _rows(answer: str) -> list[dict[str, str]]:
    heading, *lines = answer.strip().splitlines()
    names = heading.removeprefix("# ").split(",")
    return [dict(zip(names, line.split(","), strict=False)) for line in lines]


def _ask_http(place: Place) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", place.port(HAProxy.name, "metrics"), timeout=_SECONDS)
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise NotReady(f"/healthz: {type(error).__name__}: {error}") from None
    finally:
        connection.close()
    if status != http.HTTPStatus.OK:
        raise NotReady(f"/healthz answered {status}")
