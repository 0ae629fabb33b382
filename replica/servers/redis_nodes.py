"""The cluster's plan: which node begins as a master of which slots, and as what each knows the others.

Written as the file that Redis itself keeps, so that six servers which start together are one cluster at once, and in any
order: no command has to find them all up.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from replica.server import Place

SLOTS = 16384
MASTERS = ("redis-1", "redis-2", "redis-3")
#: By replica, its master. Host 1 is redis-1 and redis-4, host 2 redis-2 and redis-5, host 3 redis-3 and redis-6: each
#: master's replica is on another host than itself.
MASTER_OF = {"redis-4": "redis-2", "redis-5": "redis-3", "redis-6": "redis-1"}
NODES = (*MASTERS, *MASTER_OF)


def host(node: str) -> int:
    """The host that *node* is on, 1 to 3: what would be lost with it."""
    return (int(node.rpartition("-")[2]) - 1) % len(MASTERS) + 1


def node_id(place: Place, node: str) -> str:
    """The same at every start of this replica, another in every other replica."""
    return hashlib.sha256(place.ca_file.read_bytes() + node.encode()).hexdigest()[:40]


def slots(master: str) -> range:
    """The slots that *master* begins with."""
    position = MASTERS.index(master)
    return range(SLOTS * position // len(MASTERS), SLOTS * (position + 1) // len(MASTERS))


def write(place: Place, node: str, path: Path) -> None:
    """The plan as *node* sees it where there is no file yet, else today's ports into the file that Redis left."""
    if not path.exists():
        path.write_text(_plan(place, node))
        return
    before = path.read_text()
    after = _with_ports(place, before)
    if after != before:
        path.write_text(after)


def _plan(place: Place, myself: str) -> str:
    lines = [_line(place, node, myself=node == myself) for node in NODES]
    return "\n".join([*lines, f"vars currentEpoch {len(MASTERS)} lastVoteEpoch 0", ""])


def _line(place: Place, node: str, *, myself: bool) -> str:
    master = MASTER_OF.get(node, node)
    flags = ("myself," if myself else "") + ("master" if node == master else "slave")
    follows = "-" if node == master else node_id(place, master)
    epoch = MASTERS.index(master) + 1
    held = f" {slots(node).start}-{slots(node).stop - 1}" if node == master else ""
    return f"{node_id(place, node)} {_address(place, node)} {flags} {follows} 0 0 {epoch} connected{held}"


def _address(place: Place, node: str) -> str:
    return f"127.0.0.1:{place.port(node, 'redis')}@{place.port(node, 'bus')}"


def _with_ports(place: Place, text: str) -> str:
    for node in NODES:
        text = re.sub(rf"^({node_id(place, node)}) [^ ,]*", rf"\1 {_address(place, node)}", text, flags=re.MULTILINE)
    return text
