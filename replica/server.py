"""What a server of the replica is: one small file under `replica/servers/` that satisfies `Server`.

Explicitly subclass `Server`; its defaults (`data`, `settings`, `settle`) then come free.
"""

from __future__ import annotations

import math
import sysconfig
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from replica import certificates, secrets


class NotReady(Exception):
    """A probe failed; the text is the reason in words. Waiting may cure it."""


def python() -> str:
    """The interpreter of this installation, under one name whoever asks: `sys.executable` is `…/python` for `python -m`
    and `…/python3` for pytest, and a program whose command changed would be started anew.
    """
    return str(Path(sysconfig.get_path("scripts")) / "python")


@dataclass(frozen=True)
class Program:
    """What the supervisor runs.

    Never a secret in `command`, which every user of the machine can read; `environment` reaches a 0600 file.
    """

    command: list[str]
    environment: dict[str, str] = field(default_factory=dict[str, str])
    user: str | None = None
    """An unprivileged user, where the replica is started as root and the program refuses to be."""
    directory: Path | None = None
    stop_signal: str = "TERM"
    stop_seconds: int = 20


@dataclass(frozen=True)
class Place:
    """What a server may know of the replica it belongs to; handed to every method."""

    state: Path
    """The replica's own folder. 0711: a program that runs as another user must pass through; its contents are closed."""
    cache: Path
    """Shared between replicas, read-only at run time: unpacked programs, made by `python -m replica setup`."""
    ports: Mapping[str, int]
    """By `<server>.<port name>`, chosen once per state folder."""
    proxied: bool = False
    """Whether clients go through the fault proxy (`up --with-proxies`)."""

    def folder(self, server: str) -> Path:
        """`<state>/<server>`; made by the server's `prepare`."""
        return self.state / server

    def port(self, server: str, name: str) -> int:
        """Where the server itself listens."""
        return self.ports[f"{server}.{name}"]

    def client_port(self, server: str, name: str) -> int:
        """Where clients connect: the fault proxy's port where there is one, else the server's own."""
        return self.ports[f"proxies.{server}.{name}"] if self.proxied else self.port(server, name)

    def secret(self, name: str) -> str:
        """The secret called *name*, made at random on first use."""
        return secrets.obtain(self.state / "secrets", name)

    def secret_ref(self, name: str) -> str:
        """The same secret as a settings file refers to it: `file:PATH`."""
        self.secret(name)
        return f"file:{self.state / 'secrets' / name}"

    def seconds_since_start(self, server: str) -> float:
        """How long ago `up` last started *server*; endless where it never did."""
        mark = self.state / "started" / server
        return time.time() - mark.stat().st_mtime if mark.exists() else math.inf

    @property
    def ca_file(self) -> Path:
        """The replica's own certificate authority, made afresh with the state folder."""
        return certificates.authority(self.state / "certificates")

    def certificate(self, server: str) -> tuple[Path, Path]:
        """(certificate, key) of *server*, PEM, for localhost and 127.0.0.1, usable as server and as client."""
        return certificates.issue(self.state / "certificates", server)


class Server(Protocol):
    """One server of the replica. Every method may run again at any time and mends what is missing."""

    name: str
    """"postgres", "es-1" … "worker": what commands and other servers' `needs` call it."""
    needs: tuple[str, ...] = ()
    """Servers that must be ready before this one is started."""
    peers: tuple[str, ...] = ()
    """Servers without which it never gets ready, such as a cluster's other nodes: chosen with it, started beside it."""
    port_names: tuple[str, ...] = ()
    client_ports: tuple[str, ...] = ()
    """Those of `port_names` that clients use: the fault proxy stands before them."""
    reserved_ports: tuple[str, ...] = ()
    """Chosen and kept as the others are, for whoever it is that listens there: `up` asks nothing of them."""
    by_default: bool = True
    """Whether a command that names no server means this one, too; False: only where it is named, or needed by one that is."""
    ready_seconds: int = 240
    """How long after its start a probe may keep failing. Generous: only a hung server is waited for, a dead one is seen."""
    meets_limits: bool = True
    """Whether it takes a file size limit as an error of that write; False where it would end (Go's runtime does)."""
    ends_leftovers: bool = True
    """Whether processes that outlived an earlier run of this server are ended before it is started again."""

    def install(self, cache: Path) -> None:
        """Lay in *cache* what the server runs from; cheap when it is there. `setup` and `up` call it, one at a time."""

    def prepare(self, place: Place) -> None:
        """Folders, configuration, certificates. Runs before what it needs is up, so it talks to no server."""
        ...

    def provision(self, place: Place) -> None:
        """Before it is started: what an operator does first, on the servers that it needs. They are ready."""

    def program(self, place: Place) -> Program:
        """What to run; called after `prepare`."""
        ...

    def probe(self, place: Place) -> str:
        """A real query or an authenticated health call, done within 5 s: a short health text, or raises NotReady."""
        ...

    def settle(self, place: Place) -> None:
        """Once ready: databases, buckets, repositories, users. Talks to the server's own port, not to the proxy."""

    def stopped(self, place: Place) -> None:
        """After it ended: remove what it left outside the state folder."""

    def data(self, place: Place) -> Path:
        """The folder whose files `fault corrupt` may damage."""
        return place.folder(self.name)

    def settings(self, place: Place) -> Mapping[str, Any]:
        """This server's part of `<state>/settings.toml` (steward/settings/), merged with the others' parts.

        Uses `client_port` and `secret_ref`. For example es-1 gives
        `{"search": {"production": {"hosts": […], "ca_file": …, "users": …, "role_files": […]}}}`.
        """
        del place
        return {}
