"""One server's parts, in one event loop: it follows the store, serves SDKs, and answers people."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from services.flags.board import Board
from services.flags.following import follow
from services.flags.metrics import Metrics
from services.flags.sync import SyncServer
from services.flags.tokens import Tokens
from steward.errors import BadInput
from steward.settings import Flags, Settings
from steward.stopping import stop

#: So long people wait for a page while SDKs wait for flags.
_FIRST_SECONDS = 1.0

if TYPE_CHECKING:
    from services.flags.answering import Http


async def serve(settings: Settings, *, host: str, sync_port: int, port: int) -> None:
    """Until SIGTERM or SIGINT. Raises BadInput for settings that no server can be made of."""
    flags = _flags(settings)
    credentials = _credentials(flags)
    board = Board()
    metrics, tokens = Metrics(board), Tokens(flags, settings.vault)
    sync = SyncServer(board, metrics)

    def http() -> Http:
        # Here, for what a page needs takes as long to import as all that SDKs wait for.
        from services.flags.answering import http_server  # noqa: PLC0415  the reason stands above

        return http_server(settings, board, tokens, metrics, port)

    parts = [
        asyncio.create_task(_told_to_stop(), name="signals"),
        asyncio.create_task(_answer(board, http), name="http"),
        asyncio.create_task(sync.run(f"{host}:{sync_port}", credentials), name="sync"),
        asyncio.create_task(follow(settings, board), name="following"),
        asyncio.create_task(tokens.keep_fresh(), name="tokens"),
    ]
    # A part that ends by itself has failed: better no server than one that looks well.
    await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
    await sync.stop()
    for part in parts:
        await stop(part)


async def _answer(board: Board, made: Callable[[], Http]) -> None:
    """After SDKs are served; where that takes long, people are told why."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_FIRST_SECONDS):
            await board.newer(None)
    http = await asyncio.to_thread(made)
    serving = asyncio.create_task(http.serve())
    try:
        await asyncio.shield(serving)
    finally:
        http.should_exit = True
        await serving


async def _told_to_stop() -> None:
    heard, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, heard.set)
    await heard.wait()


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
