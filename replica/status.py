"""`status`: what runs, where, how much it holds, and whether it answers."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from replica import processes
from replica.server import NotReady, Place, Server
from replica.supervision import Keeper, Process, ProcessState

_HEADINGS = ("SERVER", "STATE", "PID", "MEMORY", "PORTS", "HEALTH")


@dataclass(frozen=True)
class Row:
    """One server as it is now."""

    server: str
    state: str
    """"up", "frozen", "starting", "down", or the supervisor's word for a failed start."""
    pid: int
    ports: dict[str, int]
    memory_bytes: int
    healthy: bool
    health: str


def rows(place: Place, servers: Sequence[Server]) -> list[Row]:
    """The state of *servers*, probed in parallel."""
    known = Keeper(place.state).processes()
    with ThreadPoolExecutor(max_workers=max(1, len(servers))) as pool:
        return list(pool.map(lambda server: _row(place, server, known.get(server.name)), servers))


def _row(place: Place, server: Server, process: Process | None) -> Row:
    numbers = {name: place.port(server.name, name) for name in server.port_names}
    if process is None or not process.state.is_up:
        word = _word(process.state) if process else "down"
        return Row(server.name, word, 0, numbers, 0, healthy=False, health=process.said if process else "")
    healthy, health = _probe(place, server)
    state = "frozen" if processes.is_frozen(process.pid) else "up" if healthy else "no answer"
    memory = processes.memory_bytes(process.pid)
    return Row(server.name, state, process.pid, numbers, memory, healthy, health)


def _word(state: ProcessState) -> str:
    return {ProcessState.BACKOFF: "failing", ProcessState.FATAL: "failed", ProcessState.STOPPING: "stopping"}.get(
        state, "down"
    )


def _probe(place: Place, server: Server) -> tuple[bool, str]:
    try:
        return True, server.probe(place)
    except NotReady as reason:
        return False, str(reason)


def table(found: Sequence[Row]) -> str:
    """*found* as aligned columns with a closing line of the whole."""
    cells = [_HEADINGS, *(_cells(row) for row in found)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    total = sum(row.memory_bytes for row in found) / 1024**2
    healthy = sum(row.healthy for row in found)
    return "\n".join([*lines, f"{healthy} of {len(found)} healthy, {total:.0f} MiB resident"])


def _cells(row: Row) -> tuple[str, ...]:
    ports = " ".join(f"{name}={port}" for name, port in row.ports.items())
    memory = f"{row.memory_bytes / 1024**2:.0f} MiB" if row.memory_bytes else "-"
    return (
        row.server,
        row.state,
        str(row.pid or "-"),
        memory,
        ports or "-",
        row.health.splitlines()[0] if row.health else "-",
    )
