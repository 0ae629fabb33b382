"""Receivers of a test's own, what senders send them, and what they were told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import tomli_w

from steward.clients.postgres import connect
from steward.settings import Settings
from steward.settings.webhooks import Webhooks
from tests.contract.github import payloads
from tests.integration.closed_doors import closed_port

#: No promise: what takes longer will not come any more.
PATIENCE_SECONDS = 30
GITHUB, CI = "/webhooks/github", "/webhooks/ci"
SECRETS = {
    "github": "It's a Secret to Everybody",
    "ci": "whsec_" + base64.b64encode(b"a key of thirty-two random bytes").decode(),
}


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: Any


class Receiver:
    """`python -m services.webhooks serve`, or what a test runs in its place, on a port that it keeps over its restarts."""

    def __init__(self, settings: Settings, folder: Path, *, program: list[str] | None = None) -> None:
        self.port = closed_port()
        self.settings = settings
        self._program = program or ["-m", "services.webhooks", "serve"]
        self._file, self._log = folder / f"settings-{self.port}.toml", folder / f"log-{self.port}"
        self._file.write_text(tomli_w.dumps(settings.model_dump(mode="json", exclude_none=True)))
        self._log.touch()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, healthy: int = 200) -> None:
        command = [sys.executable, *self._program, "--port", str(self.port)]
        environment = {**os.environ, "STEWARD_SETTINGS": str(self._file)}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, env=environment, stderr=log)
        until = time.monotonic() + PATIENCE_SECONDS
        while self._health() != healthy:
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < until, self.log()
            time.sleep(0.02)

    def end(self, number: int = signal.SIGTERM) -> int:
        process, self._process = self._process, None
        process.send_signal(number)
        return process.wait(PATIENCE_SECONDS)

    def ended(self) -> int:
        """By itself."""
        process, self._process = self._process, None
        return process.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        if self._process:
            self.end(signal.SIGKILL)

    def log(self) -> str:
        return self._log.read_text()

    @contextmanager
    def logged(self) -> Generator[list[str]]:
        """The lines that come to its log within the block; there once the block has ended."""
        before, lines = len(self.log()), list[str]()
        yield lines
        lines += self.log()[before:].splitlines()

    def send(self, path: str, body: Any, headers: Mapping[str, str], *, method: str = "POST") -> Answer:
        """*body*: bytes, or pieces of them without a length."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        try:
            # What is refused early is answered, and the connection closed, before all of it is sent.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, path, body, dict(headers), encode_chunked=not isinstance(body, bytes))
            answer = connection.getresponse()
            told, text = {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
        finally:
            connection.close()
        return Answer(answer.status, told, json.loads(text) if "json" in told.get("content-type", "") else text)

    def _health(self) -> int:
        try:
            answer = self.send("/healthz", b"", {}, method="GET")
        except OSError:
            return 0
        # Its first question is answered by then: what a test counts is its own.
        return 0 if "not asked yet" in answer.body else answer.status


@contextmanager
def receiver(settings: Settings, folder: Path) -> Generator[Receiver]:
    """One that receives."""
    made = Receiver(settings, folder)
    try:
        made.start()
        yield made
    finally:
        made.close()


def with_sources(settings: Settings, folder: Path, **more: Any) -> Settings:
    """Two senders, whose secrets lie in files of *folder*; *more* of `[webhooks]`."""
    for name, secret in SECRETS.items():
        (folder / name).write_text(secret)
    sources = {
        "github": {"kind": "github", "secrets": [f"file:{folder / 'github'}"]},
        "ci": {"kind": "signed", "secrets": [f"file:{folder / 'ci'}"]},
    }
    webhooks = Webhooks.model_validate({"url": "http://127.0.0.1:1", "sources": sources, **more})
    return settings.model_copy(update={"webhooks": webhooks})


def deployment(**changes: Any) -> dict[str, Any]:
    """A whole payload of one that was just made, with an id of its own."""
    payload = payloads.whole("deployment", 1)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    payload["deployment"] |= {"id": uuid.uuid4().int >> 80, "created_at": now, "updated_at": now, **changes}
    return payload


def raw(payload: Any) -> bytes:
    return json.dumps(payload).encode()


def from_github(body: bytes, event: str = "deployment", *, secret: str = "", **headers: str) -> dict[str, str]:
    """As GitHub sends *body*."""
    key = (secret or SECRETS["github"]).encode()
    return {
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/044aadd",
        "X-GitHub-Delivery": str(uuid.uuid4()),
        "X-GitHub-Event": event,
        "X-Hub-Signature-256": "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest(),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }


def event(kind: str = "release.candidate", *, at: datetime | None = None) -> dict[str, Any]:
    """A body of the signed form, unlike any other."""
    return {
        "type": kind,
        "timestamp": (at or datetime.now(UTC)).isoformat(),
        "data": {"release": "v2", "nonce": uuid.uuid4().hex},
    }


def from_ci(body: bytes, *, secret: str = "", at: float | None = None, identity: str = "") -> dict[str, str]:
    """As any other sender sends *body*: signed by hand, for the library that checks it also signs."""
    identity, stamp = identity or f"msg_{uuid.uuid4().hex}", str(int(at or time.time()))
    key = base64.b64decode((secret or SECRETS["ci"]).removeprefix("whsec_"))
    made = hmac.new(key, f"{identity}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "Content-Type": "application/json; charset=utf-8",
        "webhook-id": identity,
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + base64.b64encode(made).decode(),
    }


def rows(settings: Settings) -> list[dict[str, Any]]:
    """All deliveries of the inbox, oldest first."""
    with connect(settings) as connection:
        cursor = connection.execute("SELECT * FROM steward.webhook_deliveries ORDER BY id")
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]


def count(settings: Settings) -> int:
    """Deliveries of the inbox, and what was begun for them: nothing is, by a receiver."""
    with connect(settings) as connection:
        assert connection.execute("SELECT count(*) FROM steward.webhook_starts").fetchone() == (0,)
        return connection.execute("SELECT count(*) FROM steward.webhook_deliveries").fetchone()[0]
