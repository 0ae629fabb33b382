"""The status pages of rollouts: who may read them, and from where they are read.

By a token in the header, as the API is; or by a session that a form makes of one, so that a browser without script can
read. A session is sealed with the token's hash: every server knows it, and it ends when the token is changed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TypeVar
from urllib.parse import parse_qs

import psycopg
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from services.flags import rollout_page
from services.flags.problems import Refused
from services.flags.tokens import Caller, Tokens
from steward.clients import rollouts_shown
from steward.clients.postgres import Connection, connect
from steward.errors import StewardError
from steward.rollout.record import NoRollout
from steward.settings import Settings

SESSION_SECONDS = 12 * 3600.0
_COOKIE = "rollouts"
#: A token is some forty characters.
_MOST_BYTES = 4096
_STATEMENT_SECONDS = 6

Page = Callable[[Request], Awaitable[Response]]
Read = TypeVar("Read")


class RolloutPages:
    """Of one server."""

    def __init__(self, settings: Settings, tokens: Tokens) -> None:
        self._settings, self._tokens = settings, tokens
        # Behind a load balancer this process sees plain HTTP.
        self._secure = bool(settings.flags and settings.flags.url.startswith("https://"))

    def routes(self) -> list[Route]:
        """For the server's application."""
        return [
            Route("/rollouts", _in_words(self.all), methods=["GET"]),
            Route("/rollouts/session", _in_words(self.enter), methods=["POST"]),
            Route("/rollouts/{id:int}", _in_words(self.one), methods=["GET"]),
        ]

    async def all(self, request: Request) -> Response:
        """Those there are, and what is proved where."""
        if (caller := self._caller(request)) is None:
            return _asked_for_a_token("")
        rollouts, releases = await self._read(
            lambda db: (rollouts_shown.newest_rollouts(db), rollouts_shown.releases_in_force(db))
        )
        return _page(rollout_page.list_page(rollouts, releases, caller.name))

    async def one(self, request: Request) -> Response:
        """One of them."""
        number: int = request.path_params["id"]
        if (caller := self._caller(request)) is None:
            return _asked_for_a_token(str(number))
        shown = await self._read(lambda db: rollouts_shown.page_of(db, number))
        return _page(rollout_page.rollout_page(shown, caller.name))

    async def enter(self, request: Request) -> Response:
        """Make a session of a token, and go where its owner was going."""
        form = parse_qs((await _body(request)).decode(errors="replace"))
        token, following = (form.get(name, [""])[0] for name in ("token", "next"))
        # A number and no address: whoever made the link leads nobody elsewhere.
        following = following if following.isascii() and following.isdigit() else ""
        try:
            caller = self._tokens.find(f"Bearer {token}")
        except Refused:
            return _asked_for_a_token(following, "This is no token of the flag server.")
        answer = RedirectResponse(f"/rollouts/{following}".rstrip("/"), status_code=303)
        answer.set_cookie(
            _COOKIE,
            self._session(caller.name, time.time() + SESSION_SECONDS),
            max_age=int(SESSION_SECONDS),
            path="/rollouts",
            secure=self._secure,
            httponly=True,
            # Not strict: a link in a mail or a chat is to be followed as whoever one is. Nothing is changed by a session.
            samesite="lax",
        )
        return answer

    def _caller(self, request: Request) -> Caller | None:
        """None: nobody who may read. A header that is there and wrong raises Refused."""
        if authorization := request.headers.get("authorization"):
            return self._tokens.find(authorization)
        name, _, rest = request.cookies.get(_COOKIE, "").partition(".")
        expires, _, seal = rest.partition(".")
        if not seal or not expires.isascii() or not expires.isdigit() or int(expires) < time.time():
            return None
        caller = self._tokens.called(who := _decoded(name))
        expected = self._seal(who, int(expires)) if caller else ""
        return caller if expected and hmac.compare_digest(expected, seal) else None

    def _session(self, who: str, expires: float) -> str:
        name = base64.urlsafe_b64encode(who.encode()).decode().rstrip("=")
        return f"{name}.{int(expires)}.{self._seal(who, int(expires))}"

    def _seal(self, who: str, expires: int) -> str:
        key = self._tokens.key_of(who)
        return hmac.new(key, f"rollouts\n{expires}\n{who}".encode(), hashlib.sha256).hexdigest() if key else ""

    async def _read(self, what: Callable[[Connection], Read]) -> Read:
        def read() -> Read:
            with connect(self._settings, statement_timeout_seconds=_STATEMENT_SECONDS) as db:
                return what(db)

        return await run_in_threadpool(read)


def _in_words(page: Page) -> Page:
    """People are told on a page, not by a problem's JSON."""

    @wraps(page)
    async def told(request: Request) -> Response:
        try:
            return await page(request)
        except NoRollout as error:
            return _trouble(404, "No such rollout", error.message, error.hint)
        except StewardError as error:
            return _trouble(503, "Not now", error.message, error.hint)
        except psycopg.Error as error:
            return _trouble(503, "Not now", f"the database broke this off: {type(error).__name__}")

    return told


async def _body(request: Request) -> bytes:
    read = bytearray()
    async for part in request.stream():
        read += part
        if len(read) > _MOST_BYTES:
            raise Refused(413, "a token is shorter than that")
    return bytes(read)


def _decoded(name: str) -> str:
    try:
        return base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""


def _asked_for_a_token(following: str, said: str = "") -> Response:
    return _page(rollout_page.login_page(following, said, SESSION_SECONDS), 401)


def _trouble(status: int, heading: str, said: str, hint: str = "") -> Response:
    return _page(rollout_page.trouble_page(heading, said, hint, passes=status >= 500), status)  # noqa: PLR2004  HTTP's


def _page(html: str, status: int = 200) -> Response:
    return HTMLResponse(
        html,
        status,
        headers={
            "Content-Security-Policy": rollout_page.policy(),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        },
    )
