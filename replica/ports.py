"""Ports of one replica: free ones, chosen once, kept in its state folder."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import random
import socket
import tempfile
import time
from collections.abc import Callable, Container, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, cast

import psutil

from replica.errors import NoFreePort, PortTaken
from steward.errors import BadInput

# Below Linux's range for outgoing connections (32768 and up): no client's socket can sit on a chosen port later.
_LOWEST, _HIGHEST = 20_000, 32_000
#: Of a port that nobody keeps in a file: it is listened on within seconds, on a busy machine in minutes.
_CLAIM_SECONDS = 600.0


def is_free(port: int) -> bool:
    """Whether *port* can be listened on at 127.0.0.1. Connections in TIME_WAIT do not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def choose(names: Iterable[str], known: dict[str, int], keeper: Path | None = None) -> dict[str, int]:
    """*known* completed with a free port for each of *names* that lacks one, and which no replica has chosen either.

    *keeper*: the file that will have them. They stay its own for as long as it has them, whether anybody listens or not: a server
    that is started for one test comes long after its replica. Without one, for some minutes.
    """
    missing = [name for name in names if name not in known]
    if not missing:
        return dict(known)
    with _claims() as claimed:
        taken = {*known.values(), *claimed}
        candidates = (port for port in random.sample(range(_LOWEST, _HIGHEST), _HIGHEST - _LOWEST) if port not in taken)
        free = (port for port in candidates if is_free(port))
        found = dict(zip(missing, free, strict=False))
        if len(found) < len(missing):
            raise NoFreePort(len(missing), (_LOWEST, _HIGHEST - 1), len(claimed), _claims_file())
        claimed.update({port: _Claim(time.time(), str(keeper or "")) for port in found.values()})
    return {**known, **found}


class _Claim(NamedTuple):
    """Who chose a port, and when."""

    at: float
    keeper: str
    """The file that has it; empty: none."""

    def stands(self, port: int, kept: Callable[[str], Container[int] | None]) -> bool:
        """Whether nobody else may have it, by what its keeper's file has *kept*."""
        ports = kept(self.keeper)
        return ports is not None and (time.time() - _CLAIM_SECONDS < self.at or port in ports)


def _kept(keeper: str) -> Container[int] | None:
    """None: the keeper's folder is gone, and whoever meant to listen with it."""
    if not keeper:
        return ()
    path = Path(keeper)
    if not path.parent.exists():
        return None
    with contextlib.suppress(OSError, BadInput):
        return set(_read(path).values())
    return ()


def _claims_file() -> Path:
    return Path(tempfile.gettempdir()) / f"steward-ports-{os.geteuid()}.json"


@contextmanager
def _claims() -> Generator[dict[int, _Claim]]:
    """Ports that this user's replicas have chosen and may not listen on yet; one process at a time has them."""
    descriptor = os.open(_claims_file(), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        # Each file once: a replica has dozens of ports.
        kept = functools.cache(_kept)
        claimed = {port: claim for port, claim in _claimed(file.read()).items() if claim.stands(port, kept)}
        yield claimed
        file.seek(0)
        file.truncate()
        json.dump(claimed, file)


def _claimed(text: str) -> dict[int, _Claim]:
    """What a process that was killed while it wrote has left counts as nothing."""
    with contextlib.suppress(ValueError, AttributeError, TypeError):
        return {int(port): _Claim(float(at), str(keeper)) for port, (at, keeper) in json.loads(text).items()}
    return {}


def persisted(path: Path, names: Iterable[str]) -> dict[str, int]:
    """The ports kept in *path*, completed for *names* and written back when that added any."""
    known = _read(path)
    chosen = choose(names, known, path.absolute())
    if chosen != known:
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(chosen, indent=1, sort_keys=True) + "\n")
        beside.replace(path)
    return chosen


def forget(state: Path) -> None:
    """Let the next `up` choose ports anew."""
    (state / "ports.json").unlink(missing_ok=True)


def _read(path: Path) -> dict[str, int]:
    if not path.exists():
        return {}
    try:
        return {str(name): int(port) for name, port in json.loads(path.read_text()).items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise BadInput(f"{path} does not hold ports: {error}", hint="delete it: new ones are chosen") from None


def refuse_taken(server: str, ports: Iterable[int]) -> None:
    """PortTaken, naming the process, where one of *ports* cannot be listened on."""
    for port in ports:
        if not is_free(port):
            raise PortTaken(server, port, holder(port))


def holder(port: int) -> str:
    """Who listens on *port*, in words; another user's process can only be named by root."""
    with contextlib.suppress(psutil.AccessDenied):
        for connection in psutil.net_connections("tcp"):
            local = cast("tuple[str, int] | tuple[()]", connection.laddr)
            if connection.status == psutil.CONN_LISTEN and local and local[1] == port and connection.pid:
                return _describe(connection.pid)
    return "a process that this user may not see"


def _describe(pid: int) -> str:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return f"pid {pid} ({process.name()}, user {process.username()})"
    return f"pid {pid}"
