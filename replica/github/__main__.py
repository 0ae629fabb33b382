"""`python -m replica.github CONFIGURATION.toml`: serves until SIGTERM, on loopback only."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Generator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from replica.github.api import GitHub
from replica.github.configuration import load
from replica.github.store import Store
from steward.errors import StewardError

_FAREWELL_SECONDS = 3


class _Server(uvicorn.Server):
    """Leaves signals to the one place that ends both listeners."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def main(arguments: list[str]) -> int:
    """0 after an orderly end, 2 for a configuration that cannot be used."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        configuration = load(Path(arguments[0]))
    except StewardError as error:
        print(error, file=sys.stderr)
        return 2
    github = GitHub(configuration, Store(Path(configuration.folder)))
    servers = [
        _server(github.api(), configuration.api_port),
        _server(github.administration(), configuration.admin_port),
    ]
    try:
        asyncio.run(_serve(servers))
    finally:
        github.close()
    return 0


async def _serve(servers: list[_Server]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _end, servers)
    await asyncio.gather(*(server.serve() for server in servers))


def _server(application: Starlette, port: int) -> _Server:
    return _Server(
        uvicorn.Config(
            application,
            host="127.0.0.1",
            port=port,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=_FAREWELL_SECONDS,
        )
    )


def _end(servers: list[_Server]) -> None:
    for server in servers:
        server.should_exit = True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
