"""The HTTP part of a flag server: the API, the page of flags, and the pages of rollouts."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from typing_extensions import override

from services.flags.application import Api
from services.flags.board import Board
from services.flags.metrics import Metrics
from services.flags.rollout_acts import RolloutActs
from services.flags.rollouts import RolloutPages
from services.flags.tokens import Tokens
from steward.settings import Settings

#: A request is over by then, or its outcome is looked up by whoever asked.
_LEAVING_SECONDS = 5


class Http(uvicorn.Server):
    """Whose signals are the whole server's."""

    @contextmanager
    @override
    def capture_signals(self) -> Generator[None]:
        yield


def http_server(settings: Settings, board: Board, tokens: Tokens, metrics: Metrics, port: int) -> Http:
    """On loopback: a load balancer that speaks TLS stands before it."""
    api, pages = Api(settings, board, tokens, metrics), RolloutPages(settings, tokens)
    acts = RolloutActs(settings, tokens, pages)
    configuration = uvicorn.Config(
        api.application([*pages.routes(), *acts.routes()]),
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
    return Http(configuration)
