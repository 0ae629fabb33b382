"""What a fault did, and to what it may be done."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from replica import processes
from replica.errors import ForeignTarget, NotRunning
from replica.server import Server
from replica.servers import SERVERS
from replica.state import require_marker
from replica.supervision import Keeper


@dataclass(frozen=True)
class Fault:
    """A fault that was done."""

    fault: str
    target: str
    did: dict[str, Any] = field(default_factory=dict[str, Any])
    """Exactly what was changed: pids, ports, file, offset, bits."""
    undo: str = ""
    """The command that takes it back; empty where nothing can, or needs to."""

    def as_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), sort_keys=True)


def undo_command(state: Path, verb: str, target: str) -> str:
    """`python -m replica …` with what it needs to find this replica again."""
    return f"python -m replica fault {verb} {target} --state {state}"


def server_named(target: str, servers: Sequence[Server] = SERVERS) -> Server:
    """The replica's server called *target*; ForeignTarget names the ones there are."""
    for server in servers:
        if server.name == target:
            return server
    known = ", ".join(server.name for server in servers)
    raise ForeignTarget(f"{target!r} is no server of the replica; nothing was touched", hint=f"its servers: {known}")


def pid_of(state: Path, target: str) -> int:
    """The pid that *target* means: a server's name, or the number of a process that carries this replica's tag.

    ForeignTarget for any other process, NotRunning for a server that is down.
    """
    require_marker(state)
    if target.isdigit():
        if not processes.is_own(int(target), state):
            raise ForeignTarget(
                f"process {target} is not of the replica at {state}; nothing was touched",
                hint="python -m replica status lists its servers; their children may be named too",
            )
        return int(target)
    process = Keeper(state).process(server_named(target).name)
    if not process.pid:
        raise NotRunning(f"{target} is not running", hint="python -m replica up")
    if not processes.is_own(process.pid, state):
        raise ForeignTarget(f"process {process.pid} does not carry the tag of {state}; nothing was touched")
    return process.pid
