"""What the flag server's API answers where something is raised: by each error, its status."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import psycopg
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from services.problems import Refused, by_starlette, problem, refused
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
    Refused: refused,
    HTTPException: by_starlette,
    StewardError: _of_steward,
    psycopg.Error: _of_the_database,
}
