"""Who may ask: the bearer of the token, or of one that was made for the App's installation.

https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
"""

from __future__ import annotations

import hmac
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path

import jwt

from replica.github.configuration import Configuration, secret
from replica.github.errors import Refusal, not_found
from replica.github.store import Document

_HOUR = 3600.0
_LONGEST_SECONDS = 600
# Clocks differ.
_LEEWAY_SECONDS = 5


class Access:
    """Tokens of installations are forgotten with the process, as if they had been revoked."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._installed: dict[str, float] = {}
        self.made = 0
        """How many tokens it made."""

    def demand(self, authorization: str) -> None:
        """Refusal 401 for whoever is nobody's bearer."""
        token = _bearer(authorization)
        until = self._installed.get(token, 0.0)
        if (
            not hmac.compare_digest(token.encode(), secret(self._configuration.token_file).encode())
            and until < time.time()
        ):
            raise Refusal(401, "Bad credentials")

    def install(self, authorization: str, installation: int) -> Document:
        """A token of an hour, for whoever bears the App's own signature."""
        self._demand_app(_bearer(authorization))
        if installation != self._configuration.installation:
            raise not_found()
        token, until = f"ghs_{secrets.token_urlsafe(27)}", time.time() + _HOUR
        self._installed[token] = until
        self.made += 1
        return {
            "token": token,
            "expires_at": f"{datetime.fromtimestamp(until, UTC):%Y-%m-%dT%H:%M:%SZ}",
            "permissions": {"deployments": "write", "metadata": "read", "repository_hooks": "read", "actions": "write"},
            "repository_selection": "selected",
        }

    def revoke(self) -> None:
        """Every token that was made."""
        self._installed.clear()

    def _demand_app(self, token: str) -> None:
        key = Path(self._configuration.app_public_key).read_bytes()
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                issuer=str(self._configuration.app),
                leeway=_LEEWAY_SECONDS,
                options={"require": ["iss", "iat", "exp"]},
            )
        except jwt.PyJWTError:
            raise Refusal(401, "A JSON web token could not be decoded") from None
        if claims["exp"] > time.time() + _LONGEST_SECONDS + _LEEWAY_SECONDS:
            raise Refusal(401, "'Expiration time' claim ('exp') is too far in the future")


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() in {"bearer", "token"} else ""
