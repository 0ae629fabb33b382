"""Faults on purpose: on this replica's own processes, files and ports, and on nothing else.

For drills and tests: `from replica import faults`. Every function takes the state folder and a target, a server's name
or (for processes) the pid of one of the replica's processes; anything else is refused with ForeignTarget.
"""

from __future__ import annotations

from pathlib import Path

from replica.errors import NotRunning
from replica.faults.damage import How, corrupt, restore
from replica.faults.disk import drain, fill, filled
from replica.faults.model import Fault
from replica.faults.network import partition, partitioned, reconnect, slow
from replica.faults.stopping import freeze, frozen, kill, thaw

__all__ = [
    "Fault",
    "How",
    "corrupt",
    "drain",
    "fill",
    "filled",
    "freeze",
    "frozen",
    "heal",
    "kill",
    "partition",
    "partitioned",
    "reconnect",
    "restore",
    "slow",
    "thaw",
]


def heal(state: Path, target: str) -> Fault:
    """Take back every fault on *target* but a kill: that takes `up`. Harmless where there is none."""
    did: dict[str, object] = {"restored": restore(state, target)}
    if not target.isdigit():
        reconnect(state, target)
    try:
        did |= thaw(state, target).did
        drain(state, target)
    except NotRunning:
        did["pids"] = []
    return Fault("heal", target, did)
