"""Sessions of the pages of rollouts, made of a token by a form, so that a browser without script can use them.

A session is sealed with the token's hash: every server knows it, and it ends when the token is changed. What changes something
asks besides for a seal that only a page of this server has shown to that session.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time

from starlette.requests import Request
from starlette.responses import Response

from services.flags.tokens import Caller, Tokens
from services.problems import Refused

SESSION_SECONDS = 12 * 3600.0
_COOKIE = "rollouts"


class Sessions:
    """Of one server. *secure*: it is reached by TLS alone."""

    def __init__(self, tokens: Tokens, *, secure: bool) -> None:
        self._tokens, self._secure = tokens, secure

    def caller(self, request: Request) -> Caller | None:
        """None: nobody who may read. A header that is there and wrong raises Refused."""
        if authorization := request.headers.get("authorization"):
            return self._tokens.find(authorization)
        name, _, rest = request.cookies.get(_COOKIE, "").partition(".")
        expires, _, seal = rest.partition(".")
        if not seal or not expires.isascii() or not expires.isdigit() or int(expires) < time.time():
            return None
        caller = self._tokens.called(who := _decoded(name))
        expected = self._seal(who, f"rollouts\n{int(expires)}\n{who}") if caller else ""
        return caller if expected and hmac.compare_digest(expected, seal) else None

    def begin(self, answer: Response, who: str) -> None:
        """Let the browser that gets *answer* come as *who*."""
        expires = int(time.time() + SESSION_SECONDS)
        seal = self._seal(who, f"rollouts\n{expires}\n{who}")
        name = base64.urlsafe_b64encode(who.encode()).decode().rstrip("=")
        answer.set_cookie(
            _COOKIE,
            f"{name}.{expires}.{seal}",
            max_age=int(SESSION_SECONDS),
            path="/rollouts",
            secure=self._secure,
            httponly=True,
            # Not strict: a link in a mail or a chat is to be followed as whoever one is. Other sites' forms come without it.
            samesite="lax",
        )

    def form_seal(self, request: Request, caller: Caller) -> str:
        """What a form of this session carries; empty where no session is."""
        session = request.cookies.get(_COOKIE, "")
        return self._seal(caller.name, f"form\n{session}") if session else ""

    def demand_form(self, request: Request, seal: str) -> Caller:
        """Whoever's page the form is from. Raises Refused 401, and 403 where it is from no page of this session, or a reader's."""
        caller = self.caller(request)
        if caller is None:
            raise Refused(401, "your session is over", hint="enter your token again; nothing was done")
        expected = self.form_seal(request, caller)
        if not expected or not hmac.compare_digest(expected, seal):
            raise Refused(403, "this form is from no page of your session", hint="open the page anew; nothing was done")
        self._tokens.demand_writer(caller)
        return caller

    def _seal(self, who: str, what: str) -> str:
        key = self._tokens.key_of(who)
        return hmac.new(key, what.encode(), hashlib.sha256).hexdigest() if key else ""


def _decoded(name: str) -> str:
    try:
        return base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""
