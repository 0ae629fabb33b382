"""One server's parts, in one event loop: it follows the store, serves SDKs, and answers people."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import grpc
import uvicorn
from starlette.applications import Starlette
from typing_extensions import override

from services.flags.application import Api
from services.flags.board import Board
from services.flags.following import follow
from services.flags.metrics import Metrics
from services.flags.rollouts import RolloutPages
from services.flags.sync import SyncServer
from services.flags.tokens import Tokens
from steward.errors import BadInput
from steward.settings import Flags, Settings
from steward.stopping import stop

#: A request of the API is over by then, or its outcome is looked up by whoever asked.
_LEAVING_SECONDS = 5


class _Http(uvicorn.Server):
    """Whose signals are the whole server's."""

    @contextmanager
    @override
    def capture_signals(self) -> Generator[None]:
        yield


async def serve(settings: Settings, *, host: str, sync_port: int, port: int) -> None:
    """Until SIGTERM or SIGINT. Raises BadInput for settings that no server can be made of."""
    flags = _flags(settings)
    credentials = _credentials(flags)
    board = Board()
    metrics, tokens = Metrics(board), Tokens(flags, settings.vault)
    sync = SyncServer(board, metrics)
    api, pages = Api(settings, board, tokens, metrics), RolloutPages(settings, tokens)
    http = _Http(_configuration(api.application(pages.routes()), port))
    parts = [
        asyncio.create_task(follow(settings, board), name="following"),
        asyncio.create_task(sync.run(f"{host}:{sync_port}", credentials), name="sync"),
        asyncio.create_task(tokens.keep_fresh(), name="tokens"),
    ]
    answering = asyncio.create_task(http.serve(), name="http")
    told = asyncio.create_task(_told_to_stop(), name="signals")
    # A part that ends by itself has failed: better no server than one that looks well.
    await asyncio.wait({*parts, answering, told}, return_when=asyncio.FIRST_COMPLETED)
    http.should_exit = True
    await sync.stop()
    await answering
    for part in (*parts, told):
        await stop(part)


async def _told_to_stop() -> None:
    heard, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, heard.set)
    await heard.wait()


def _configuration(application: Starlette, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        host="127.0.0.1",
        port=port,
        # gRPC's own loop is asyncio's.
        loop="asyncio",
        # Who changes what is in the history; an access log would say nothing more.
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_LEAVING_SECONDS,
    )


def _flags(settings: Settings) -> Flags:
    if settings.flags is None:
        raise BadInput("the settings tell of no flags", hint="add [flags] to the settings file; docs/flag-server.md")
    return settings.flags


def _credentials(flags: Flags) -> grpc.ServerCredentials:
    if flags.certificate is None or flags.certificate_key is None:
        raise BadInput(
            "flags.certificate is not set", hint="SDKs speak TLS alone: name the server's certificate and key"
        )
    pair = (_pem(flags.certificate_key), _pem(flags.certificate))
    return grpc.ssl_server_credentials([pair])


def _pem(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}", hint="check its path and mode") from None
