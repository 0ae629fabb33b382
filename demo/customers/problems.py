"""Refusals, as problems of RFC 9457. None tells a value, and none what the server found: that is for its log."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse

from demo.customers.bodies import InputRefused
from steward.fieldcrypt.errors import CiphertextRefused

_log = logging.getLogger(__name__)


def problem(status: int, headers: dict[str, str] | None = None, **more: Any) -> JSONResponse:
    """With *more* members than every problem has."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, **more}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def unauthenticated(connection: HTTPConnection, error: Exception) -> JSONResponse:
    """401, for Starlette's AuthenticationMiddleware."""
    _ = connection
    return problem(401, {"WWW-Authenticate": "Bearer"}, detail=str(error))


async def _refused(request: Request, error: HTTPException) -> JSONResponse:
    del request
    return problem(error.status_code, dict(error.headers or {}))


async def _input_refused(request: Request, error: InputRefused) -> JSONResponse:
    del request
    return problem(422, detail="The body is not what this request needs.", errors=error.faults)


async def _unreadable(request: Request, error: Exception) -> JSONResponse:
    """The log has which field it is and what is wrong with it; the client is told neither."""
    _log.error("%s: %s %s", request.url.path, type(error).__name__, getattr(error, "__notes__", []))
    return problem(500)


async def _database_away(request: Request, error: OperationalError) -> JSONResponse:
    """What became of a write is not known: the commit may have been the last that the server did."""
    _log.error("%s: the database: %s", request.url.path, type(error.orig).__name__)
    return problem(503, {"Retry-After": "1"})


HANDLERS: dict[Any, Any] = {
    HTTPException: _refused,
    InputRefused: _input_refused,
    CiphertextRefused: _unreadable,
    OperationalError: _database_away,
}
