"""Refusals, as problems of RFC 9457: what was seen, what was expected, and a hint of what to do."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import psycopg
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from steward.clients.flag_errors import FlagChangedMeanwhile, LeaseExpired, LeaseFenced, NoSuchFlag, NoSuchVersion
from steward.clients.postgres import DatabaseNotMigrated, DatabaseRefused, DatabaseUrlUnusable
from steward.errors import BadInput, StewardError, Unavailable

_log = logging.getLogger(__name__)

# The first that fits. Of a database that refuses this server, no caller can mend anything.
_STATUS: tuple[tuple[type[StewardError], int], ...] = (
    (NoSuchFlag, 404),
    (NoSuchVersion, 404),
    (FlagChangedMeanwhile, 409),
    (LeaseFenced, 409),
    (LeaseExpired, 409),
    (DatabaseNotMigrated, 503),
    (DatabaseRefused, 503),
    (DatabaseUrlUnusable, 503),
    (BadInput, 422),
    (Unavailable, 503),
)


class Refused(Exception):
    """A request that is not done, for its own fault."""

    def __init__(self, status: int, detail: str, *, hint: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.hint, self.headers = status, detail, hint, dict(headers or {})


def problem(
    status: int, detail: str, *, hint: str = "", headers: Mapping[str, str] | None = None, **more: Any
) -> JSONResponse:
    """With *more* members than every problem has."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    return JSONResponse(
        {**body, **({"hint": hint} if hint else {})}, status, headers, media_type="application/problem+json"
    )


async def _refused(_: Request, error: Refused) -> JSONResponse:
    return problem(error.status, error.detail, hint=error.hint, headers=error.headers)


async def _by_starlette(_: Request, error: HTTPException) -> JSONResponse:
    return problem(error.status_code, error.detail, headers=error.headers)


async def _of_steward(request: Request, error: StewardError) -> JSONResponse:
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    headers: dict[str, str] = {}
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("%s %s: %s", request.method, request.url.path, error.message)
        headers = {"Retry-After": "1"}
    return problem(status, error.message, hint=error.hint, headers=headers)


async def _of_the_database(request: Request, error: psycopg.Error) -> JSONResponse:
    """What became of a change is not known: whoever asked reads the flag again."""
    _log.error("%s %s: %s %s", request.method, request.url.path, type(error).__name__, error.diag.message_primary)
    detail = "the database broke this off; whether it was done is not known"
    return problem(503, detail, hint="read the flag again", headers={"Retry-After": "1"})


HANDLERS: dict[Any, Any] = {
    Refused: _refused,
    HTTPException: _by_starlette,
    StewardError: _of_steward,
    psycopg.Error: _of_the_database,
}
