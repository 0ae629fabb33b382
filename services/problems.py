"""Refusals, as problems of RFC 9457: what was seen, what was expected, and a hint of what to do."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse


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


async def refused(_: Request, error: Refused) -> JSONResponse:
    """What a server says where a part of it raised Refused."""
    return problem(error.status, error.detail, hint=error.hint, headers=error.headers)


async def by_starlette(_: Request, error: HTTPException) -> JSONResponse:
    """What it says where there is no such path, or the path takes no such method."""
    return problem(error.status_code, error.detail, headers=error.headers)
