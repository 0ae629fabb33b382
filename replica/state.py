"""The state folder of a replica: where it is, what it must look like, who may change it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Generator, Iterable
from pathlib import Path

from replica import ports
from replica.errors import NotAReplica
from replica.server import Place, Server
from steward.errors import BadInput

VARIABLE = "STEWARD_REPLICA"
MARKER = "steward-replica.json"
# A Unix socket's path holds at most 107 bytes on Linux, and PostgreSQL's is the longest below the state folder.
_LONGEST_PATH = 75
# Root's home is closed to PostgreSQL, which refuses to run as root.
_ROOTS_FOLDER = Path("/var/lib/steward")


def checkout() -> Path:
    """The folder that holds the project."""
    return Path(__file__).resolve().parent.parent


def default_state() -> Path:
    """`$STEWARD_REPLICA`, else `.replica/` in the checkout; for root a folder that other users can pass through."""
    if named := os.environ.get(VARIABLE):
        return Path(named).absolute()
    if os.geteuid() == 0:
        return _ROOTS_FOLDER / f"replica-{hashlib.sha256(bytes(checkout())).hexdigest()[:8]}"
    return checkout() / ".replica"


def default_cache() -> Path:
    """Where unpacked programs are shared by every replica of this user."""
    return _ROOTS_FOLDER / "cache" if os.geteuid() == 0 else checkout() / ".cache"


def lay(state: Path, servers: Iterable[Server], *, proxied: bool | None = None) -> Place:
    """Make *state* the folder of a replica, or open it as one; *proxied* None keeps what it was."""
    _refuse_unfit(state)
    state.mkdir(parents=True, exist_ok=True)
    state.chmod(0o711)
    (state / "logs").mkdir(mode=0o700, exist_ok=True)
    _mark(state, proxied=proxied)
    return open_place(state, servers)


def open_place(state: Path, servers: Iterable[Server]) -> Place:
    """The replica whose folder *state* is; NotAReplica where none was laid."""
    marker = require_marker(state)
    numbers = ports.persisted(state / "ports.json", _port_names(servers))
    return Place(state=state, cache=default_cache(), ports=numbers, proxied=bool(marker.get("proxied")))


def require_marker(state: Path) -> dict[str, object]:
    """What the replica's marker says; NotAReplica where there is none, so that no other folder is ever touched."""
    try:
        return dict(json.loads((state / MARKER).read_text()))
    except (OSError, ValueError, TypeError):
        raise NotAReplica(
            f"{state} is not the state folder of a replica: it has no readable {MARKER}",
            hint=f"python -m replica up makes one; --state or ${VARIABLE} names another",
        ) from None


@contextlib.contextmanager
def exclusive(state: Path) -> Generator[None]:
    """Hold the replica for a change of what runs: a second `up` or `down` waits for the first."""
    with (state / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def remove(state: Path) -> None:
    """Delete the state folder of a replica that is down."""
    require_marker(state)
    # The marker goes last: an interrupted removal can be taken up again.
    for entry in sorted(state.iterdir(), key=lambda path: path.name == MARKER):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    state.rmdir()


def _port_names(servers: Iterable[Server]) -> list[str]:
    return [f"{server.name}.{name}" for server in servers for name in (*server.port_names, *server.reserved_ports)]


def _mark(state: Path, *, proxied: bool | None) -> None:
    marker = state / MARKER
    before = require_marker(state) if marker.exists() else {"proxied": False}
    after = before if proxied is None else {**before, "proxied": proxied}
    if after != before or not marker.exists():
        marker.write_text(json.dumps(after) + "\n")


def _refuse_unfit(state: Path) -> None:
    if len(os.fsencode(state)) > _LONGEST_PATH:
        raise BadInput(
            f"the state folder's path has {len(os.fsencode(state))} bytes, expected at most {_LONGEST_PATH}: "
            f"Unix sockets lie below it ({state})",
            hint=f"name a shorter one with --state or ${VARIABLE}",
        )
    if state.is_dir() and any(state.iterdir()) and not (state / MARKER).exists():
        raise NotAReplica(f"{state} holds other things, expected an empty folder", hint="name another with --state")
    if os.geteuid() == 0:
        _refuse_closed(state)


def _refuse_closed(state: Path) -> None:
    for parent in state.parents:
        if parent.exists() and not parent.stat().st_mode & 0o001:
            raise BadInput(
                f"{parent} is closed to other users, expected a path that PostgreSQL's user can pass through "
                "(PostgreSQL refuses to run as root)",
                hint=f"name a state folder elsewhere with --state or ${VARIABLE}, e.g. {_ROOTS_FOLDER}/replica",
            )
