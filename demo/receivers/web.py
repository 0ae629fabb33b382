"""A webhook and GitHub's statuses of deployments, which take and refuse what the real ones do."""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, cast

from demo.receivers.received import LOOPBACK, Received

#: Slack's for the text of a block, GitHub's for the description of a status.
_BLOCK, _DESCRIPTION = 3000, 140
_STATES = frozenset({"error", "failure", "inactive", "in_progress", "queued", "pending", "success"})
_STATUSES = re.compile(r"/repos/([^/]+/[^/]+)/deployments/([0-9]+)/statuses(?:\?.*)?")


class Said(NamedTuple):
    """An answer."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class WebReceiver:
    """A webhook and GitHub's API under one address; the webhook's path and the token are secrets."""

    def __init__(self, received: Received, port: int = 0) -> None:
        self.received = received
        self.path, self.token = f"/services/{secrets.token_urlsafe(18)}", secrets.token_urlsafe(18)
        self._server = ThreadingHTTPServer((LOOPBACK, port), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://{LOOPBACK}:{self._server.server_address[1]}"

    @property
    def webhook(self) -> str:
        """Its whole address, which is a secret."""
        return self.url + self.path

    @contextmanager
    def running(self) -> Generator[WebReceiver]:
        """Serve while the block runs."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def answer(self, method: str, path: str, token: str, body: bytes) -> Said:
        """What is taken is written down, whatever is answered."""
        with self.received.lock:
            self.received.requests += 1
            fault = self.received.faults.popleft() if self.received.faults else None
            if fault and not fault.takes:
                return Said(fault.status, headers=fault.headers)
            said = self._taken(method, path, token, body)
            return Said(fault.status, headers=fault.headers) if fault else said

    def _taken(self, method: str, path: str, token: str, body: bytes) -> Said:
        if method == "POST" and path == self.path:
            return self._to_slack(body)
        if (found := _STATUSES.fullmatch(path)) is None:
            return Said(404, b"no_service")
        if token != f"Bearer {self.token}":
            return Said(401, b'{"message": "Bad credentials"}')
        return self._status(int(found[2]), body) if method == "POST" else self._listed(int(found[2]))

    def _to_slack(self, body: bytes) -> Said:
        try:
            said = json.loads(body)
            texts = [said["text"], *(block["text"]["text"] for block in said["blocks"])]
        except (ValueError, KeyError, TypeError):
            return Said(400, b"invalid_payload")
        if not all(isinstance(text, str) and text and len(text) <= _BLOCK for text in texts):
            return Said(400, b"invalid_blocks")
        self.received.slack.append(said["text"])
        self.received.note("slack", said["text"])
        return Said(200, b"ok")

    def _status(self, deployment: int, body: bytes) -> Said:
        try:
            said = cast("dict[str, Any]", json.loads(body))
            right = said["state"] in _STATES and len(said["description"]) <= _DESCRIPTION and said.get("log_url") != ""
        except (ValueError, KeyError, TypeError):
            right, said = False, {}
        if not right:
            return Said(422, b'{"message": "Validation Failed"}')
        status = {"id": len(self.received.statuses) + 1, "deployment": deployment, **said}
        self.received.statuses.append(status)
        self.received.note("github", status)
        return Said(201, json.dumps(status).encode())

    def _listed(self, deployment: int) -> Said:
        found = [each for each in self.received.statuses if each["deployment"] == deployment]
        return Said(200, json.dumps(found[::-1]).encode())


def _handler(receiver: WebReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("GET")

        def do_POST(self) -> None:
            self._answer("POST")

        def _answer(self, method: str) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            said = receiver.answer(method, self.path, self.headers.get("authorization", ""), body)
            self.send_response(said.status)
            for name, value in (*said.headers, ("content-length", str(len(said.body)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's name
            """Nothing: a request's line holds the webhook's secret."""

    return Handler
