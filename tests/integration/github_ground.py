"""A stand-in for GitHub of a test's own: one process on free ports, in a folder of its own, without a replica."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import tomli_w
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from replica import ports
from replica.server import python
from steward.settings import GitHubApi

REPOSITORY, HOOK, APP, INSTALLATION = "example/shop", 109948940, 417, 31337
BASE = f"/repos/{REPOSITORY}"
HOOK_SECRET = "It's a Secret to Everybody"
#: No promise: what takes longer will not come any more.
PATIENCE_SECONDS = 30


def eventually(holds: Callable[[], Any]) -> Any:
    """What *holds* gives, once that is true."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not (found := holds()):
        assert time.monotonic() < until
        time.sleep(0.02)
    return found


class StandIn:
    """`start` and `kill` may alternate."""

    def __init__(self, folder: Path) -> None:
        chosen = ports.choose(["api", "admin"], {})
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        (folder / "app").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
        public = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        (folder / "app.pub").write_bytes(key.public_key().public_bytes(*public))
        for name, value in {"token": "token-of-a-test", "admin": "administrator", "hook": HOOK_SECRET}.items():
            (folder / name).write_text(value)
        told = {
            "folder": str(folder),
            "api_port": chosen["api"],
            "admin_port": chosen["admin"],
            "admin_token_file": str(folder / "admin"),
            "repository": REPOSITORY,
            "token_file": str(folder / "token"),
            "app": APP,
            "installation": INSTALLATION,
            "app_public_key": str(folder / "app.pub"),
            "hook": HOOK,
            "hook_url": "",
            "hook_secret_file": str(folder / "hook"),
        }
        self._folder, self._process = folder, None
        (folder / "github.toml").write_text(tomli_w.dumps(told))
        self.url, self._admin = f"http://127.0.0.1:{chosen['api']}", f"http://127.0.0.1:{chosen['admin']}"
        self.client = httpx.Client(headers={"authorization": "Bearer token-of-a-test"}, timeout=PATIENCE_SECONDS)

    def start(self) -> None:
        command = [python(), "-m", "replica.github", str(self._folder / "github.toml")]
        self._process = subprocess.Popen(command, env={**os.environ})
        eventually(lambda: self._process.poll() is not None or self._answers())
        assert self._process.poll() is None

    def kill(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(PATIENCE_SECONDS)
            self._process = None

    def ask(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """GitHub's API, of the repository."""
        answer = self.client.request(method, f"{self.url}{BASE}{path}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"authorization": "Bearer administrator"}
        answer = self.client.request(method, f"{self._admin}{path}", json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def turn(self, **dials: Any) -> None:
        """Those that are not named are at rest."""
        self.admin("PUT", "/dials", dials)

    def direct(self, url: str) -> None:
        self.ask("PATCH", f"/hooks/{HOOK}/config", {"url": url})

    def deploy(self, **fields: Any) -> dict[str, Any]:
        return self.ask("POST", "/deployments", {"ref": "f95f852bd8fca8fcc58a9a2d6c842781e32a215e", **fields}, 201)

    def deliveries(self) -> list[dict[str, Any]]:
        """All of them, the newest first."""
        found, url = list[dict[str, Any]](), f"{self.url}{BASE}/hooks/{HOOK}/deliveries?per_page=100"
        while url:
            answer = self.client.get(url)
            found += answer.json()
            url = answer.links.get("next", {}).get("url")
        return found

    def whole(self, number: int) -> dict[str, Any]:
        return self.ask("GET", f"/hooks/{HOOK}/deliveries/{number}")

    def noted(self, count: int) -> list[dict[str, Any]]:
        """Its list, once it has *count* of them."""
        return eventually(lambda: found if len(found := self.deliveries()) >= count else None)

    def api(self, *, as_app: bool = False, **changes: Any) -> GitHubApi:
        app = {"id": APP, "installation": INSTALLATION, "key": f"file:{self._folder / 'app'}"}
        way = {"app": app} if as_app else {"token": f"file:{self._folder / 'token'}"}
        return GitHubApi.model_validate({"url": self.url, "repository": REPOSITORY, "hook": HOOK, **way, **changes})

    def _answers(self) -> bool:
        try:
            return self.client.get(f"{self._admin}/dials").status_code == 401
        except httpx.HTTPError:
            return False


@contextmanager
def standing_in(folder: Path) -> Generator[StandIn]:
    made = StandIn(folder)
    made.start()
    try:
        yield made
    finally:
        made.kill()
        made.client.close()


class Arrived(NamedTuple):
    headers: dict[str, str]
    body: bytes

    @property
    def payload(self) -> Any:
        return json.loads(self.body)


class Listener:
    """Keeps what is posted to it."""

    def __init__(self) -> None:
        self.arrived = list[Arrived]()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.arrived.append(Arrived({name.lower(): each for name, each in self.headers.items()}, body))
                self.send_response(202)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhooks/github"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def wait(self, count: int) -> list[Arrived]:
        return eventually(lambda: self.arrived if len(self.arrived) >= count else None)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
