"""One colour of the application, asked past the load balancer: to warm it, and to see whether it is well."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self

import httpx

from steward.clients.authorities import authorities
from steward.errors import StewardError

_TIMEOUT = httpx.Timeout(5.0, connect=2.0)
_HEALTH = "/healthz"


class ColourNotWell(StewardError):
    """A release that has no users yet does not answer as it should."""


@dataclass(frozen=True)
class Warmth:
    """How it answered while it was warmed. Milliseconds."""

    requests: int
    first_ms: float
    last_ms: float
    """The median of the last ten."""


class Colour:
    """Use it in `with`."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self._client = httpx.Client(base_url=url, timeout=_TIMEOUT, verify=authorities(), trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def warm(self, paths: Sequence[str], rounds: int) -> Warmth:
        """Ask for each of *paths*, *rounds* times. Raises ColourNotWell for an answer of 5xx, or none."""
        took = list[float]()
        for path in list(paths) * rounds:
            began = time.perf_counter()
            status = self._get(path)
            took.append(1000 * (time.perf_counter() - began))
            if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise ColourNotWell(
                    f"{self.name} answers {path} with {status} while it is warmed", hint="see its log at the host"
                )
        last = sorted(took[-10:])
        return Warmth(len(took), round(took[0], 1), round(last[len(last) // 2], 1))

    def check_health(self, times: int, between_seconds: float) -> int:
        """All of *times* checks must pass. Raises ColourNotWell with the first that did not."""
        for number in range(1, times + 1):
            if (status := self._get(_HEALTH)) != HTTPStatus.OK:
                raise ColourNotWell(
                    f"health check {number} of {times} on {self.name} was answered with {status}, expected 200",
                    hint=f"ask it: {self._client.base_url}{_HEALTH}",
                )
            time.sleep(between_seconds)
        return times

    def _get(self, path: str) -> int:
        try:
            return self._client.get(path).status_code
        except httpx.HTTPError as error:
            raise ColourNotWell(
                f"{self.name} does not answer {path}: {type(error).__name__}", hint="see its log at the host"
            ) from error
