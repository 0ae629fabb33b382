"""`python -m demo.shop.host --folder DIR --port N --colour blue=N --colour green=N --token file:PATH`: runs the shop's releases.

    GET    /colours                                 what runs, on each
    PUT    /colours/green    {"release": "good"}    let it run there, in place of whatever does
    POST   /colours/green/restart                   the same release, another process
    DELETE /colours/green                           nothing runs there
    GET    /releases                                what may be put somewhere
    PUT    /releases/0123456789ab    (its TOML)     take a release; the same again is no other one

A put is done when the release answers, which is not to say that it is healthy: that `GET` tells. Refusals are problems of
RFC 9457, with a `kind` for programs.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import hashlib
import hmac
import logging
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from demo.shop import releases
from demo.shop.colours import Colour, DidNotStart, NothingRuns, taken_in
from demo.shop.releases import NoSuchRelease, OtherRelease
from demo.shop.settings import ShopSettings
from demo.shop.words import secrets_of
from steward.errors import BadInput, StewardError
from steward.settings import read_secret
from steward.stopping import stop

_LOOK_SECONDS = 0.5
_log = logging.getLogger(__name__)


class Host:
    """All colours of one folder."""

    def __init__(self, colours: dict[str, Colour], token: Callable[[], str], taken: Path) -> None:
        self._colours, self._token, self._taken = colours, token, taken

    def application(self) -> Starlette:
        """ASGI 3."""
        routes = [
            Route("/healthz", lambda _: PlainTextResponse("ok\n")),
            Route("/releases", self._releases),
            Route("/releases/{release}", self._take, methods=["PUT"]),
            Route("/colours", self._all),
            Route("/colours/{colour}", self._one),
            Route("/colours/{colour}", self._place, methods=["PUT"]),
            Route("/colours/{colour}", self._empty, methods=["DELETE"]),
            Route("/colours/{colour}/restart", self._restart, methods=["POST"]),
        ]
        handlers: dict[Any, Any] = {HTTPException: _refused, StewardError: _told}
        return Starlette(routes=routes, exception_handlers=handlers, lifespan=self._living)

    @asynccontextmanager
    async def _living(self, _app: Starlette) -> AsyncGenerator[None]:
        await self._each(Colour.find)
        looking = asyncio.create_task(self._look(), name="look")
        try:
            yield
        finally:
            await stop(looking)
            await self._each(Colour.leave)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self._each(Colour.look)

    async def _each(self, act: Callable[[Colour], None]) -> None:
        await asyncio.gather(*(run_in_threadpool(act, colour) for colour in self._colours.values()))

    async def _releases(self, request: Request) -> Response:
        self._let_in(request)
        names = releases.names(self._taken)
        return JSONResponse({name: releases.read(name, self._taken).description for name in names})

    async def _take(self, request: Request) -> Response:
        self._let_in(request)
        name, content = request.path_params["release"], await _content(request)
        is_new = await run_in_threadpool(releases.take, name, content, self._taken)
        return JSONResponse({"release": name, "sha256": hashlib.sha256(content).hexdigest()}, 201 if is_new else 200)

    async def _all(self, request: Request) -> Response:
        self._let_in(request)
        standing = await asyncio.gather(*(run_in_threadpool(each.standing) for each in self._colours.values()))
        return JSONResponse({each.colour: asdict(each) for each in standing})

    async def _one(self, request: Request) -> Response:
        return await _as_it_stands(self._colour(request))

    async def _place(self, request: Request) -> Response:
        colour, release = self._colour(request), await _asked(request)
        releases.read(release, self._taken)
        await run_in_threadpool(colour.place, release)
        return await _as_it_stands(colour)

    async def _restart(self, request: Request) -> Response:
        colour = self._colour(request)
        await run_in_threadpool(colour.restart)
        return await _as_it_stands(colour)

    async def _empty(self, request: Request) -> Response:
        colour = self._colour(request)
        await run_in_threadpool(colour.empty)
        return await _as_it_stands(colour)

    def _colour(self, request: Request) -> Colour:
        self._let_in(request)
        name = request.path_params["colour"]
        if name not in self._colours:
            raise HTTPException(404, detail=f"known colours: {', '.join(self._colours)}")
        return self._colours[name]

    def _let_in(self, request: Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(_digest(given), _digest(self._token())):
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


async def _as_it_stands(colour: Colour) -> Response:
    return JSONResponse(asdict(await run_in_threadpool(colour.standing)))


async def _content(request: Request) -> bytes:
    """As much of it as a release may have, and a byte by which a longer one is known."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > releases.MOST_BYTES:
            break
    return bytes(content)


async def _asked(request: Request) -> str:
    try:
        asked = await request.json()
    except ValueError:
        asked = None
    release: object = asked.get("release") if isinstance(asked, dict) else None
    if not isinstance(release, str):
        raise BadInput("expected a release", hint='put {"release": NAME}')
    return release


async def _refused(request: Request, error: HTTPException) -> Response:
    del request
    kind = {401: "unauthenticated", 404: "unknown_colour"}.get(error.status_code, "refused")
    return _problem(error.status_code, kind, error.detail, headers=dict(error.headers or {}))


async def _told(request: Request, error: StewardError) -> Response:
    del request
    if isinstance(error, NoSuchRelease):
        return _problem(404, "unknown_release", error.message, hint=error.hint)
    if isinstance(error, OtherRelease):
        return _problem(409, "other_release", error.message, hint=error.hint)
    if isinstance(error, DidNotStart):
        return _problem(409, "did_not_start", error.message, words=error.words)
    if isinstance(error, NothingRuns):
        return _problem(409, "nothing_runs", error.message, hint=error.hint)
    return _problem(422, "unusable", error.message, hint=error.hint)


def _problem(status: int, kind: str, detail: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
    body = {"type": "about:blank", "status": status, "kind": kind, "detail": detail, **more}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def main(arguments: list[str]) -> int:
    """0, or 2 for bad input."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    settings, folder = ShopSettings.load(), options.folder.absolute()
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            # Kept while it lives, and not inherited: two hosts would start two processes on a port.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another host is at work in {folder}", file=sys.stderr)
            return 2
        colours = {
            name: Colour(name, int(port), folder, lambda: secrets_of(settings))
            for name, _, port in (each.partition("=") for each in options.colour)
        }
        host = Host(colours, lambda: read_secret(options.token), taken_in(folder))
        uvicorn.run(host.application(), host="127.0.0.1", port=options.port, access_log=False, log_level="warning")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo.shop.host", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="where it keeps what should run, and logs")
    parser.add_argument("--port", type=int, required=True, help="of its own API, on loopback")
    parser.add_argument("--colour", action="append", required=True, metavar="NAME=PORT")
    parser.add_argument("--token", required=True, help="file:PATH")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
