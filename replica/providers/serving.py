"""Three listeners in one process, on loopback only, until SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Generator
from pathlib import Path

import uvicorn
import uvloop

from replica.providers import listeners
from replica.providers.configuration import load
from replica.providers.exchange import Protocol
from replica.providers.listeners import Listener
from replica.providers.twin import Twin

_FAREWELL_SECONDS = 3


class _Server(uvicorn.Server):
    """Leaves signals to the one place that ends all listeners."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def serve(file: Path) -> None:
    """ConfigurationUnfit where *file* cannot be used."""
    configuration = load(file)
    twin = Twin(configuration)
    servers = [
        _server(listeners.openai(twin), configuration.openai_port),
        _server(listeners.anthropic(twin), configuration.anthropic_port),
        _server(listeners.administration(twin), configuration.admin_port),
    ]
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(servers))
    finally:
        twin.close()


async def _serve(servers: list[_Server]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _end, servers)
    await asyncio.gather(*(server.serve() for server in servers))


def _server(listener: Listener, port: int) -> _Server:
    return _Server(
        uvicorn.Config(
            listener,  # pyright: ignore[reportArgumentType] -- an ASGI application, which uvicorn types by three names
            host="127.0.0.1",
            port=port,
            http=Protocol,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            # Longer than clients keep idle connections: none is closed under a request that is on its way.
            timeout_keep_alive=120,
            timeout_graceful_shutdown=_FAREWELL_SECONDS,
        )
    )


def _end(servers: list[_Server]) -> None:
    for server in servers:
        server.should_exit = True
