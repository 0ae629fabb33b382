"""Who asks, and for which tenant: a session token, signed when the user logged in, checked once a request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import jwt
from starlette.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError, BaseUser
from starlette.requests import HTTPConnection

ISSUER = "https://login.example"
AUDIENCE = "https://customers.example"
_ALGORITHM = "HS256"
_CLAIMS = ["iss", "aud", "exp", "sub", "tenant"]


@dataclass(frozen=True, slots=True)
class Caller(BaseUser):
    """`request.user`, and `scope["user"]` for other middleware."""

    user: str
    tenant: str


class SessionTokens(AuthenticationBackend):
    """For Starlette's AuthenticationMiddleware."""

    def __init__(self, key: str) -> None:
        self._key = key

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Caller]:
        """Raises AuthenticationError; nothing of this application is for anybody."""
        scheme, _, token = conn.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            msg = "This needs a session."
            raise AuthenticationError(msg)
        return AuthCredentials(["session"]), self._caller(token)

    def _caller(self, token: str) -> Caller:
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                options={"require": _CLAIMS},
            )
        except jwt.PyJWTError:
            # What is wrong with it helps whoever forges one.
            msg = "The session is not valid, or no longer."
            raise AuthenticationError(msg) from None
        return Caller(claims["sub"], str(claims["tenant"]))


def session_token(key: str, caller: Caller, lasts: timedelta = timedelta(hours=1)) -> str:
    """What a login would hand out."""
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": datetime.now(UTC) + lasts,
        "sub": caller.user,
        "tenant": caller.tenant,
    }
    return jwt.encode(claims, key, algorithm=_ALGORITHM)
