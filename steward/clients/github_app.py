"""A GitHub App's way in: a signed word of ten minutes buys a token of an hour.

https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app
"""

from __future__ import annotations

import threading
import time
from datetime import datetime
from typing import NamedTuple

import jwt
from pydantic import AwareDatetime, BaseModel, ValidationError

from steward.clients.github_asking import GitHubRefused, exchange
from steward.clients.secrets import read_secret
from steward.errors import BadInput
from steward.settings import GitHubApp, Vault

#: Clocks differ: GitHub refuses what was issued in its future, and what ends more than ten minutes later.
_BACK_SECONDS, _ENDS_SECONDS = 60, 540
#: Before its end a token is not used any more.
_SPARE_SECONDS = 60


class _Token(NamedTuple):
    token: str
    until: float


class _Installed(BaseModel):
    token: str
    expires_at: AwareDatetime


_tokens: dict[tuple[str, int, int], _Token] = {}
_lock = threading.Lock()


def installation_token(url: str, app: GitHubApp, vault: Vault | None) -> str:
    """Of the App's installation, kept in this process until a minute before its end. Raises GitHubAway, GitHubRefused, BadInput."""
    with _lock:
        kept = _tokens.get(_key(url, app))
        if kept is None or kept.until - _SPARE_SECONDS < time.time():
            kept = _tokens[_key(url, app)] = _made(url, app, vault)
        return kept.token


def forget(url: str, app: GitHubApp, token: str) -> None:
    """*token* was refused: the next one is made anew. One that another thread has made meanwhile stays."""
    with _lock:
        if (kept := _tokens.get(_key(url, app))) and kept.token == token:
            del _tokens[_key(url, app)]


def _key(url: str, app: GitHubApp) -> tuple[str, int, int]:
    return url, app.id, app.installation


def _made(url: str, app: GitHubApp, vault: Vault | None) -> _Token:
    path = f"{url}/app/installations/{app.installation}/access_tokens"
    answer = exchange("POST", path, signed_word(app, read_secret(app.key, vault), time.time())).body
    try:
        read = _Installed.model_validate(answer)
    except ValidationError:
        # Not chained: it quotes the token.
        raise GitHubRefused(
            "GitHub answers with something else than a token", hint="compare url in the settings"
        ) from None
    return _Token(read.token, _seconds(read.expires_at))


def signed_word(app: GitHubApp, key: str, now: float) -> str:
    """The App's JWT, RS256. BadInput where *key* is no private key, without quoting it."""
    claims = {"iss": str(app.id), "iat": int(now) - _BACK_SECONDS, "exp": int(now) + _ENDS_SECONDS}
    try:
        return jwt.encode(claims, key, algorithm="RS256")
    except (ValueError, TypeError, jwt.PyJWTError):
        pass
    raise BadInput(
        f"the key of GitHub App {app.id} is no RSA private key in PEM",
        hint="download one from the App's page at GitHub",
    )


def _seconds(moment: datetime) -> float:
    return moment.timestamp()
