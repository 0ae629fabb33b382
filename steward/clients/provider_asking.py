"""A question to a provider's API, told in words that hold nothing of what was sent or answered but its status."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import httpx

from steward.ai.attempts import as_name
from steward.ai.key_rotation_errors import ProviderRefused, ProviderUnavailable
from steward.clients.authorities import authorities
from steward.clients.before_writing import BeforeWrite, is_write

#: Administrations answer within a second or two.
TIMEOUT = httpx.Timeout(20.0, connect=5.0)


class Asking:
    """Keeps its connections; use it in `with`. *headers* hold the key, and are sent with every request."""

    def __init__(self, url: str, headers: Mapping[str, str], before_write: BeforeWrite | None = None) -> None:
        self.url, self._before_write = url.rstrip("/"), before_write
        self._client = httpx.Client(
            base_url=self.url, headers=dict(headers), timeout=TIMEOUT, trust_env=False, verify=authorities()
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def ask(self, method: str, path: str, **asked: Any) -> Any:
        """The answer's JSON; None where there is no such thing (404). ProviderUnavailable, ProviderRefused."""
        answer = self.answer(method, path, **asked)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return None
        if answer.is_success:
            return self._json(answer, f"{method} {path}")
        # Its text may quote a key.
        raise ProviderRefused(
            f"{self.url} refuses {method} {path}: {answer.status_code} {_kind(answer)}",
            hint="see whether the administration's key is right, and may do this",
        )

    def _json(self, answer: httpx.Response, asked: str) -> Any:
        try:
            return answer.json()
        except ValueError:
            told = f"{self.url} answers {asked} with something else than JSON"
        # Outside, for the decoder's error holds the whole text, which may be a key.
        raise ProviderRefused(told, hint="compare url in [providers.…]")

    def answer(self, method: str, path: str, **asked: Any) -> httpx.Response:
        """Whatever it answers, but what waiting may cure."""
        if self._before_write and is_write(method):
            self._before_write()
        try:
            answer = self._client.request(method, path, **asked)
        except httpx.HTTPError as error:
            # Not chained: the error holds the request, and that the key.
            told = f"{self.url} does not answer {method} {path}: {type(error).__name__}"
        else:
            if answer.status_code != HTTPStatus.TOO_MANY_REQUESTS and not answer.is_server_error:
                return answer
            told = f"{self.url} cannot answer {method} {path} now: {answer.status_code} {_kind(answer)}"
        raise ProviderUnavailable(told, hint="see the provider's status page")


def _kind(answer: httpx.Response) -> str:
    """What kind of error the provider calls it, where that is a name."""
    try:
        error = answer.json()["error"]
        return as_name(error.get("code") or error.get("type")) or ""
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
