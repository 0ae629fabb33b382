"""Under what address a caller reached a listener: what it is told leads back the way it came, through a fault proxy too."""

from __future__ import annotations

import re

from starlette.requests import Request

_LOOPBACK = re.compile(r"(?:127\.0\.0\.1|localhost)(?::\d{1,5})?")


def origin(http: Request, own: str) -> str:
    """`https://HOST:PORT` as the caller named it, or *own* where it named anything but loopback."""
    host = http.headers.get("host", "")
    return f"https://{host}" if _LOOPBACK.fullmatch(host) else own


def path(http: Request) -> str:
    """The request's path. Not from Starlette's `url`, which is put together with whatever the caller wrote as its host."""
    return str(http.scope["path"])


def query(http: Request) -> str:
    """The request's query, undecoded."""
    return bytes(http.scope["query_string"]).decode("latin-1")
