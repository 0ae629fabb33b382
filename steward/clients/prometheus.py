"""Prometheus, asked for figures as they are now, each with the time that it is from.

An instant query tells the time of asking, whatever the age of what it found; so a time is asked for besides, or the query is
for a range, whose samples have their own. Prometheus's clock measures ages, the same that stamped the scrapes.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from http import HTTPStatus
from pathlib import Path

import httpx

from steward.clients.prometheus_answers import MISSING, Answer, Point, Standing, Value, points, value
from steward.clients.prometheus_errors import (
    PrometheusAway,
    PrometheusBadAnswer,
    PrometheusRefused,
    PrometheusSlow,
)
from steward.clients.secrets import read_secret
from steward.errors import BadInput
from steward.settings import VARIABLE, Settings
from steward.settings import Prometheus as Described

__all__ = ["MISSING", "Answer", "Prometheus", "Standing", "Value", "open_prometheus"]

TIMEOUT_SECONDS = 2.0
#: How old a figure may be and still count: some scrapes of a second, and a pause of the collector.
FRESH_SECONDS = 5.0
#: How far back one is looked for, so that a stale one is told from one that never was.
WITHIN_SECONDS = 60
_MOST_BYTES = 16 * 1024**2
_REFUSALS = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY}
_UNSHAPED = (KeyError, TypeError, ValueError, IndexError, AttributeError)


@contextmanager
def open_prometheus(settings: Settings, *, timeout_seconds: float = TIMEOUT_SECONDS) -> Generator[Prometheus]:
    """The server of the settings, for the block. One answer takes at most twice *timeout_seconds*."""
    described = settings.prometheus
    if described is None:
        raise BadInput("the settings tell of no Prometheus", hint=f"add [prometheus] to the file that {VARIABLE} names")
    with httpx.Client(
        base_url=described.url.rstrip("/"),
        headers=_headers(described, settings),
        timeout=timeout_seconds,
        trust_env=False,
        verify=_trusting(described.ca_file) if described.url.startswith("https:") else False,
    ) as client:
        yield Prometheus(client, described.url, timeout_seconds)


class Prometheus:
    """PrometheusAway (slow ones included, transient), PrometheusRefused and PrometheusBadAnswer from every method."""

    def __init__(self, client: httpx.Client, url: str, timeout_seconds: float) -> None:
        self._client, self._url, self._timeout_seconds = client, url, timeout_seconds

    def latest(
        self, selector: str, *, fresh_seconds: float = FRESH_SECONDS, within_seconds: int = WITHIN_SECONDS
    ) -> Answer:
        """The last sample of each series that *selector*, as in `name{label="x"}`, has had *within_seconds*.

        A series whose target went away is among them, at the age of its last scrape. Not an expression: see `evaluate`.
        """
        now = self._now()
        found = self._query(f"{selector}[{within_seconds}s]", now)
        return Answer(selector, now, tuple(_measured(point, point.at, now, fresh_seconds) for point in found))

    def evaluate(self, expression: str, *, of: str, fresh_seconds: float = FRESH_SECONDS) -> Answer:
        """What *expression* comes to now, with the time of the oldest sample of the selector *of*, which it is made of.

        All of it is missing where *of* finds nothing: a default in the expression is no measurement.
        """
        now = self._now()
        found = self._query(expression, now)
        oldest = [point.number for point in self._query(f"min(timestamp({of}))", now)]
        if not oldest:
            return Answer(expression, now, ())
        return Answer(expression, now, tuple(_measured(point, oldest[0], now, fresh_seconds) for point in found))

    def _now(self) -> float:
        for point in self._query("time()", None):
            return point.number
        raise PrometheusBadAnswer(self._url, "time()", "no value")

    def _query(self, query: str, at: float | None) -> list[Point]:
        asked = {"query": query, "timeout": f"{self._timeout_seconds:g}s"} | ({"time": repr(at)} if at else {})
        status, content = self._post(asked)
        try:
            answer = json.loads(content)
            if status in _REFUSALS:
                raise PrometheusRefused(self._url, query, str(answer["error"]))
            if answer["status"] != "success" or answer.get("warnings"):
                raise PrometheusBadAnswer(self._url, query, f"{answer['status']}, with {answer.get('warnings')}")
            return list(points(answer))
        except _UNSHAPED as error:
            seen = f"status {status}, {content[:80]!r}, {type(error).__name__}"
        raise PrometheusBadAnswer(self._url, query, seen)

    def _post(self, asked: dict[str, str]) -> tuple[int, bytes]:
        """The status and the whole content. Each wait is bounded, and so is their sum: a server may send byte by byte."""
        deadline = time.monotonic() + self._timeout_seconds
        content = bytearray()
        try:
            # Posted, for a query may be longer than a URL.
            with self._client.stream("POST", "/api/v1/query", data=asked) as answer:
                for chunk in answer.iter_bytes():
                    content += chunk
                    if time.monotonic() > deadline:
                        raise PrometheusSlow(self._url, self._timeout_seconds)
                    if len(content) > _MOST_BYTES:
                        raise PrometheusBadAnswer(self._url, asked["query"], f"more than {_MOST_BYTES} bytes")
        except httpx.TimeoutException:
            raise PrometheusSlow(self._url, self._timeout_seconds) from None
        except httpx.DecodingError as error:
            raise PrometheusBadAnswer(self._url, asked["query"], str(error)) from None
        except httpx.HTTPError as error:
            # Not chained: the error holds the request, and that the token.
            raise PrometheusAway(self._url, f"{type(error).__name__}: {error}") from None
        if answer.is_server_error:
            raise PrometheusAway(self._url, f"status {answer.status_code}, {bytes(content[:200])!r}")
        return answer.status_code, bytes(content)


def _measured(point: Point, at: float, now: float, fresh_seconds: float) -> Value:
    return value(point.number, at, now, fresh_seconds, point.labels)


def _headers(described: Described, settings: Settings) -> dict[str, str]:
    if described.token is None:
        return {}
    return {"Authorization": f"Bearer {read_secret(described.token, settings.vault)}"}


# Reading the system's certificates takes longer than an answer.
@cache
def _trusting(ca_file: Path | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file) if ca_file else httpx.create_ssl_context()
