"""The status pages of rollouts: who may read them, and from where they are read.

By a token in the header, as the API is; or by a session, `services.flags.sessions`.
"""

from __future__ import annotations

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
from services.flags.sessions import SESSION_SECONDS, Sessions
from services.flags.tokens import Caller, Tokens
from services.problems import Refused
from steward.clients import rollouts_shown
from steward.clients.postgres import Connection, connect
from steward.errors import StewardError
from steward.rollout.record import NoRollout
from steward.settings import Settings

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
        secure = bool(settings.flags and settings.flags.url.startswith("https://"))
        self.sessions = Sessions(tokens, secure=secure)

    def routes(self) -> list[Route]:
        """For the server's application."""
        return [
            Route("/rollouts", in_words(self.all), methods=["GET"]),
            Route("/rollouts/session", in_words(self.enter), methods=["POST"]),
            Route("/rollouts/{id:int}", in_words(self.one), methods=["GET"]),
        ]

    async def all(self, request: Request) -> Response:
        """Those there are, and what is proved where."""
        if (caller := self.sessions.caller(request)) is None:
            return asked_for_a_token("")
        rollouts, releases = await self._read(
            lambda db: (rollouts_shown.newest_rollouts(db), rollouts_shown.releases_in_force(db))
        )
        return made_page(rollout_page.list_page(rollouts, releases, caller.name, self._seal(request, caller)))

    async def one(self, request: Request) -> Response:
        """One of them."""
        number: int = request.path_params["id"]
        if (caller := self.sessions.caller(request)) is None:
            return asked_for_a_token(str(number))
        shown = await self._read(lambda db: rollouts_shown.page_of(db, number))
        return made_page(rollout_page.rollout_page(shown, caller.name, self._seal(request, caller)))

    async def enter(self, request: Request) -> Response:
        """Make a session of a token, and go where its owner was going."""
        form = await read_form(request, _MOST_BYTES)
        token, following = form.get("token", ""), form.get("next", "")
        # A number and no address: whoever made the link leads nobody elsewhere.
        following = following if following.isascii() and following.isdigit() else ""
        try:
            caller = self._tokens.find(f"Bearer {token}")
        except Refused:
            return asked_for_a_token(following, "This is no token of the flag server.")
        answer = RedirectResponse(f"/rollouts/{following}".rstrip("/"), status_code=303)
        self.sessions.begin(answer, caller.name)
        return answer

    def _seal(self, request: Request, caller: Caller) -> str:
        """What a form of the page carries; empty: the page has none for whoever reads it."""
        return self.sessions.form_seal(request, caller) if caller.may_write else ""

    async def _read(self, what: Callable[[Connection], Read]) -> Read:
        def read() -> Read:
            with connect(self._settings, statement_timeout_seconds=_STATEMENT_SECONDS) as db:
                return what(db)

        return await run_in_threadpool(read)


def in_words(page: Page) -> Page:
    """People are told on a page, not by a problem's JSON."""

    @wraps(page)
    async def told(request: Request) -> Response:
        try:
            return await page(request)
        except NoRollout as error:
            return trouble(404, "No such rollout", error.message, error.hint)
        except StewardError as error:
            return trouble(503, "Not now", error.message, error.hint)
        except psycopg.Error as error:
            return trouble(503, "Not now", f"the database broke this off: {type(error).__name__}")

    return told


async def read_form(request: Request, most_bytes: int) -> dict[str, str]:
    """The first of each field. Raises Refused 413."""
    read = bytearray()
    async for part in request.stream():
        read += part
        if len(read) > most_bytes:
            raise Refused(413, f"a form of this page has at most {most_bytes:,} bytes")
    return {name: values[0] for name, values in parse_qs(read.decode(errors="replace")).items()}


def asked_for_a_token(following: str, said: str = "") -> Response:
    """The form that makes a session, and leads to the rollout *following* then."""
    return made_page(rollout_page.login_page(following, said, SESSION_SECONDS), 401)


def trouble(status: int, heading: str, said: str, hint: str = "", *, stays: bool = False) -> Response:
    """Why there is no page. *stays*: asking again is up to whoever asked."""
    passes = status >= 500 and not stays  # noqa: PLR2004  HTTP's
    return made_page(rollout_page.trouble_page(heading, said, hint, passes=passes), status)


def made_page(html: str, status: int = 200) -> Response:
    """With what browsers are told of all of them."""
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
