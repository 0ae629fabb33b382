"""The HTTP API and the web page. What is served is read from memory; who changes a flag speaks with the database."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from services.flags.board import Board
from services.flags.bodies import Change, Killing, Restoring, changed_flag, flag_json, read_body, version_json
from services.flags.metrics import Metrics
from services.flags.page import page
from services.flags.problems import HANDLERS
from services.flags.tokens import Caller, Tokens
from steward.clients import flag_store
from steward.clients.connections import KeptConnections
from steward.clients.flag_errors import NoSuchFlag
from steward.clients.flag_store import StoredFlag
from steward.clients.postgres import Connection, open_connection, worded
from steward.settings import Settings

#: Whoever kills a flag waits no longer than this for a database that hangs; the lock of a flag takes up to five.
_LIMIT_SECONDS = 8
_MOST_AT_ONCE = 8
_NO_STORE = {"Cache-Control": "no-store"}
Answer = TypeVar("Answer")


class Api:
    """Of one server."""

    def __init__(self, settings: Settings, board: Board, tokens: Tokens, metrics: Metrics) -> None:
        self._settings, self._board, self._tokens, self._metrics = settings, board, tokens, metrics
        self._connections = KeptConnections(self._open, most=_MOST_AT_ONCE, wait_seconds=_LIMIT_SECONDS)

    def application(self, routes: list[Route] | None = None) -> Starlette:
        """With *routes* of other parts beside its own."""
        own = [
            Route("/", page),
            Route("/healthz", self.health),
            Route("/metrics", self.metrics),
            Route("/flags", self.list_flags),
            Route("/flags/{key}", self.read_flag, methods=["GET"]),
            Route("/flags/{key}", self.change_flag, methods=["PUT"]),
            Route("/flags/{key}/history", self.history),
            Route("/flags/{key}/kill", self.kill, methods=["POST"]),
            Route("/flags/{key}/restore", self.restore, methods=["POST"]),
        ]
        return Starlette(routes=[*own, *(routes or [])], exception_handlers=HANDLERS)

    async def health(self, _: Request) -> Response:
        """Well while it has something to serve: a database that is away is said, and is not this process's illness."""
        text = "\n".join([*self._board.lines(), f"streams: {self._metrics.streams_open}"]) + "\n"
        return PlainTextResponse(text, 200 if self._board.is_serving else 503)

    async def metrics(self, _: Request) -> Response:
        """For Prometheus."""
        return Response(generate_latest(self._metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def list_flags(self, request: Request) -> Response:
        """All as they are served now, also while the database is away."""
        caller = self.caller(request)
        served = self._board.served
        return _json(
            {
                "who": caller.name,
                "may_write": caller.may_write,
                "now": time.time(),
                "revision": served.revision if served else None,
                "database": self._board.away,
                "streams": self._metrics.streams_open,
                "refused": served.refused if served else {},
                "flags": [flag_json(each) for each in served.store.flags] if served else [],
            }
        )

    async def read_flag(self, request: Request) -> Response:
        """As it is in the store."""
        self.caller(request)
        key = request.path_params["key"]
        return _json(flag_json(await self.ask(lambda connection: flag_store.read_flag(connection, key))))

    async def history(self, request: Request) -> Response:
        """Newest first."""
        self.caller(request)
        key = request.path_params["key"]
        versions = await self.ask(lambda connection: flag_store.flag_history(connection, key))
        return _json({"key": key, "versions": [version_json(each) for each in versions]})

    async def change_flag(self, request: Request) -> Response:
        """Make it, or make it another; 409 where it is at another version than was expected."""
        who = self.writer(request).name
        key, change = request.path_params["key"], await read_body(request, Change)

        def made(connection: Connection) -> StoredFlag:
            flag = changed_flag(key, change, _now(connection, key))
            return flag_store.change_flag(
                connection, flag, who=who, why=change.why, expected_version=change.expected_version
            )

        return _json(flag_json(await self.ask(made)))

    async def kill(self, request: Request) -> Response:
        """Off for everybody, whatever its version."""
        who = self.writer(request).name
        key, body = request.path_params["key"], await read_body(request, Killing)
        version = await self.ask(lambda connection: flag_store.kill_flag(connection, key, who=who, why=body.why))
        return _json({"key": key, "version": version, "killed": True})

    async def restore(self, request: Request) -> Response:
        """What it was, as a new version."""
        who = self.writer(request).name
        key, body = request.path_params["key"], await read_body(request, Restoring)

        def restored(connection: Connection) -> StoredFlag:
            return flag_store.restore_flag(
                connection, key, body.version, who=who, why=body.why, expected_version=body.expected_version
            )

        return _json(flag_json(await self.ask(restored)))

    def caller(self, request: Request) -> Caller:
        """Raises Refused 401."""
        return self._tokens.find(request.headers.get("authorization", ""))

    def writer(self, request: Request) -> Caller:
        """Raises Refused 401 and 403."""
        caller = self.caller(request)
        self._tokens.demand_writer(caller)
        return caller

    async def ask(self, what: Callable[[Connection], Answer]) -> Answer:
        """In one transaction, from a thread."""

        def asked() -> Answer:
            try:
                with (
                    worded(self._settings),
                    self._connections.one(_LIMIT_SECONDS) as connection,
                    connection.transaction(),
                ):
                    return what(connection)
            finally:
                # None is kept: over a restart of the database it would fail, and the first to meet it may be a kill.
                self._connections.close()

        return await run_in_threadpool(asked)

    def _open(self) -> Connection:
        return open_connection(self._settings, statement_timeout_seconds=_LIMIT_SECONDS, autocommit=True)


def _now(connection: Connection, key: str) -> StoredFlag | None:
    try:
        return flag_store.read_flag(connection, key)
    except NoSuchFlag:
        return None


def _json(told: Any) -> JSONResponse:
    return JSONResponse(told, headers=_NO_STORE)
