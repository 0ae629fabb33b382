"""Ground for tests of costs: use that a twin states on a chosen day, and a way to it that meddles with what it answers."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import httpx

from tests.testbed.providers.ground import PROJECT, WORKSPACE, Twins

#: (status, headers, body) of an answer, which may be another one then; its body may be cut short.
Answer = tuple[int, dict[str, str], bytes]

# Every other: a day's reports have the hours around it.
_days = itertools.count(60, 2)


def a_day() -> dt.date:
    """That no other test of this process uses."""
    return dt.datetime.now(dt.UTC).date() - dt.timedelta(days=next(_days))


def begin(day: dt.date) -> int:
    return int(dt.datetime.combine(day, dt.time(), dt.UTC).timestamp())


def state(twins: Twins, kind: str, at: int, **counts: Any) -> None:
    """Let the twin state use at that moment."""
    named = {
        "openai": {"account": "openai-main", "project": PROJECT, "key_id": "o1", "endpoint": "chat.completions"},
        "anthropic": {"account": "anthropic-main", "project": WORKSPACE, "key_id": "a1", "endpoint": "messages"},
    }[kind]
    served = {"openai": ("gpt-6-luna", "default"), "anthropic": ("claude-haiku-5-5", "standard")}[kind]
    told = {"provider": kind, **named, "model": served[0], "tier": served[1], "at": at, "requests": 1, **counts}
    twins.admin("POST", "/restatements", told)


class Meddler:
    """A server between a client and a twin: `meddle(path, answer)` says what comes instead."""

    def __init__(self, target: str) -> None:
        self.asked: list[str] = []
        self.meddle: Callable[[str, Answer], Answer | None] = lambda _path, answer: answer
        self._client = httpx.Client(base_url=target, timeout=30)
        meddler = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                meddler.answer(self)

            def log_message(self, *_: object) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(request.path)
        sent = {name: value for name, value in request.headers.items() if name.lower() not in {"host", "connection"}}
        told = self._client.get(request.path, headers=sent)
        found = self.meddle(request.path, (told.status_code, {}, told.content))
        request.close_connection = True
        if found is None:
            return
        status, headers, body = found
        request.send_response(status)
        # What was announced stays announced where the body is cut.
        for name, value in {"content-length": str(len(body)), **headers, "connection": "close"}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._client.close()


def cut(answer: Answer) -> Answer:
    """Half of it, under the length of the whole."""
    status, headers, body = answer
    return status, {**headers, "content-length": str(len(body))}, body[: len(body) // 2]


@contextmanager
def meddling(target: str) -> Generator[Meddler]:
    with Meddler(target) as meddler:
        yield meddler
