"""Clients cut off from a server, or made to wait for it: at the fault proxy, so servers still reach each other."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

from replica.errors import ForeignTarget, NotRunning
from replica.faults.model import Fault, server_named, undo_command
from replica.server import Place
from replica.servers import SERVERS
from replica.servers.proxies import command
from replica.state import open_place


def partition(state: Path, target: str) -> Fault:
    """Hold every byte between clients and *target*: open connections hang, new ones are accepted and hang."""
    return _order(state, target, "partition", {})


def slow(state: Path, target: str, *, delay_seconds: float) -> Fault:
    """Add *delay_seconds* before each chunk of *target*'s answers."""
    return _order(state, target, "slow", {"delay_seconds": delay_seconds})


def reconnect(state: Path, target: str) -> None:
    """Take back both; harmless where neither is in force, or where there is no proxy."""
    place = open_place(state, SERVERS)
    if place.proxied:
        _command(place, {"do": "heal", "server": server_named(target).name})


@contextlib.contextmanager
def partitioned(state: Path, target: str) -> Generator[Fault]:
    """*target* cut off from its clients for as long as the block runs."""
    fault = partition(state, target)
    try:
        yield fault
    finally:
        reconnect(state, target)


def _order(state: Path, target: str, do: str, values: dict[str, Any]) -> Fault:
    server = server_named(target)
    if not server.client_ports:
        raise ForeignTarget(f"no client connects to {target}, so there is nothing to cut; nothing was touched")
    place = open_place(state, SERVERS)
    if not place.proxied:
        raise NotRunning(
            "clients of this replica connect to its servers directly, so nothing can stand between",
            hint="python -m replica up --with-proxies, and read its settings again",
        )
    routes = _command(place, {"do": do, "server": target, **values})
    mine = {name: route for name, route in routes.items() if name.startswith(f"{target}.")}
    return Fault(do, target, {"routes": mine}, undo_command(state, "heal", target))


def _command(place: Place, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return command(place, request)
    except OSError as error:
        raise NotRunning(f"the fault proxy does not answer: {error}", hint="python -m replica up") from None
