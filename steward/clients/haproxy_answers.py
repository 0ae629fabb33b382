"""What HAProxy's runtime API says of a backend's servers, as values.

Two of its answers make one: `show stat` knows health and load, `show servers state` (format 1) administration and weights.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

# Of `srv_admin_state`: FMAINT, IMAINT, CMAINT, RMAINT; FDRAIN, IDRAIN. HMAINT (0x40) tells of a name, not of maintenance.
_MAINT, _DRAIN = 0x01 | 0x02 | 0x04 | 0x20, 0x08 | 0x10
_STOPPED = "0"
_FORMAT = "1"


class Admin(StrEnum):
    """What people let a server do."""

    READY = "ready"
    DRAIN = "drain"
    """Nothing new; what it has is served to its end, and its health is checked."""
    MAINT = "maint"
    """Nothing at all, health checks included."""


@dataclass(frozen=True)
class BalancedServer:
    """One server behind the load balancer, as it is now."""

    name: str
    address: str
    admin: Admin
    up: bool
    """Whether HAProxy takes it for able to serve; out of maintenance it does so before it has looked."""
    healthy: bool
    """Up, and every check that may count against it passed."""
    check: str
    """The last health check in HAProxy's words, as in "L7OK 200" or "L4CON Connection refused"; empty in maintenance."""
    weight_percent: int
    """Of its configured weight."""
    connections: int
    """Requests that it is serving, of this worker of HAProxy: an older one may have more for a while after a reload."""
    queued: int
    requests: int
    """Ever since HAProxy began."""
    seconds_since_change: int

    @property
    def serves(self) -> bool:
        """Whether it is given new requests."""
        return self.up and self.admin is Admin.READY and self.weight_percent > 0

    def __str__(self) -> str:
        word = "healthy" if self.healthy else "up" if self.up else "down"
        return f"{self.name} {self.admin}, {word} ({self.check or 'not checked'}), {self.weight_percent} %"


def servers(stat: str, state: str) -> tuple[BalancedServer, ...]:
    """The servers of one backend, in the configuration's order. ValueError or KeyError where an answer is no such table."""
    told = {row["srv_name"]: row for row in _states(state)}
    return tuple(_server(row, told[row["svname"]]) for row in _stats(stat) if row["svname"] in told)


def _server(stat: dict[str, str], state: dict[str, str]) -> BalancedServer:
    up = state["srv_op_state"] != _STOPPED
    return BalancedServer(
        name=stat["svname"],
        address=stat["addr"],
        admin=_admin(int(state["srv_admin_state"])),
        up=up,
        healthy=up and _passed(stat),
        check=" ".join(filter(None, (stat["check_status"], stat["check_code"] or stat["last_chk"]))),
        weight_percent=round(int(state["srv_uweight"]) * 100 / int(state["srv_iweight"])),
        connections=int(stat["scur"]),
        queued=int(stat["qcur"]),
        requests=int(stat["stot"]),
        seconds_since_change=int(stat["lastchg"]),
    )


def _admin(mask: int) -> Admin:
    return Admin.MAINT if mask & _MAINT else Admin.DRAIN if mask & _DRAIN else Admin.READY


def _passed(stat: dict[str, str]) -> bool:
    """`check_health` counts from 0 (down) by rise to up, and by fall to as well as can be."""
    if not stat["check_health"]:
        return False
    return int(stat["check_health"]) == int(stat["check_rise"]) + int(stat["check_fall"]) - 1


def _stats(answer: str) -> Iterator[dict[str, str]]:
    return csv.DictReader(answer.removeprefix("# ").split("\n\n")[0].splitlines(), strict=True)


def _states(answer: str) -> Iterator[dict[str, str]]:
    version, heading, *lines = answer.strip().splitlines()
    if version != _FORMAT:
        raise ValueError(f"servers' state has format {version[:20]!r}, expected {_FORMAT}")
    names = heading.removeprefix("# ").split()
    return (dict(zip(names, line.split(), strict=True)) for line in lines)
