"""Twins of the tests' own: one process on free ports, in a folder of its own, without a replica."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
import tomli_w

from replica import ports
from replica.secrets import obtain
from replica.server import python

_UP_SECONDS = 30
PROJECT, WORKSPACE = "proj_one", "wrkspc_one"
VERSION = {"anthropic-version": "2026-10-21"}
ASKED = [{"role": "user", "content": "Which way is the sea?"}]


@dataclass
class Twins:
    """A process with its folder; `start` and `kill` may alternate."""

    folder: Path
    more: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    clients: dict[tuple[str, ...], Any] = field(default_factory=dict)
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))

    def __post_init__(self) -> None:
        chosen = ports.choose(["openai", "anthropic", "admin"], {})
        self.openai_url = f"http://127.0.0.1:{chosen['openai']}/v1"
        self.anthropic_url = f"http://127.0.0.1:{chosen['anthropic']}"
        self.admin_url = f"http://127.0.0.1:{chosen['admin']}/admin"
        described = {
            "folder": str(self.folder / "twins"),
            **{f"{name}_port": port for name, port in chosen.items()},
            "admin_token_file": self.secret_file("token"),
            "seed": 7,
            "accounts": [
                self._account("openai-main", "openai", PROJECT, ["o1"]),
                self._account("anthropic-main", "anthropic", WORKSPACE, ["a1", "a2"]),
            ],
            **self.more,
        }
        self.configuration = self.folder / "providers.toml"
        self.configuration.write_text(tomli_w.dumps(described))

    def _account(self, name: str, provider: str, project: str, keys: list[str]) -> dict[str, Any]:
        return {
            "name": name,
            "provider": provider,
            "organization": f"org-{provider}",
            "admin_key_file": self.secret_file(f"{name}.admin"),
            "reserves_output": provider == "openai",
            "keys": [{"id": each, "secret_file": self.secret_file(each), "project": project} for each in keys],
        }

    def secret(self, name: str) -> str:
        return obtain(self.folder / "secrets", name)

    def secret_file(self, name: str) -> str:
        self.secret(name)
        return str(self.folder / "secrets" / name)

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            command = [python(), "-m", "replica.providers", "serve", str(self.configuration)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + _UP_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the twins did not start:\n{(self.folder / 'log').read_text()}", pytrace=False)
            time.sleep(0.02)

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return all(self.http.get(url).status_code for url in (self.openai_url, self.anthropic_url, self.admin_url))
        return False

    def kill(self) -> None:
        """SIGKILL: no handler runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def openai(self, **more: Any) -> openai.OpenAI:
        """The official client as it is, but that each call is one attempt."""
        asked = {
            "api_key": self.secret("o1"),
            "admin_api_key": self.secret("openai-main.admin"),
            "base_url": self.openai_url,
            "max_retries": 0,
            **more,
        }
        return self._client(openai.OpenAI, asked)

    def anthropic(self, **more: Any) -> anthropic.Anthropic:
        asked = {"api_key": self.secret("a1"), "base_url": self.anthropic_url, "max_retries": 0, **more}
        return self._client(anthropic.Anthropic, asked)

    def _client(self, kind: Any, asked: dict[str, Any]) -> Any:
        # Making one costs more than a hundred calls: it reads the machine's certificates.
        key = (kind.__name__, *map(str, asked.values()))
        if key not in self.clients:
            self.clients[key] = kind(**asked)
        return self.clients[key]

    def admin(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        headers = {"authorization": f"Bearer {self.secret('token')}"}
        answer = self.http.request(method, f"{self.admin_url}{path}", json=body, params=query, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def organization(self, path: str, query: Any) -> Any:
        """Anthropic's administration, which the SDK does not cover: reports of usage and cost."""
        headers = {"x-api-key": self.secret("anthropic-main.admin"), **VERSION}
        answer = self.http.get(f"{self.anthropic_url}/v1/organizations/{path}", params=query, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def lay(self, kind: str, **rule: Any) -> None:
        self.admin("POST", "/dials", {"kind": kind, **rule})

    def attempts(self, **query: Any) -> list[dict[str, Any]]:
        """All that came in, page by page."""
        found: list[dict[str, Any]] = []
        after = 0
        while True:
            page = self.admin("GET", "/attempts", after=after, **query)
            found += page["data"]
            if not page["has_more"]:
                return found
            after = page["last"]

    def attempt(self, client_request_id: str) -> dict[str, Any]:
        """The one attempt that a client named so, once it has ended."""
        deadline = time.monotonic() + 10
        while True:
            found = self.attempts(client_request_id=client_request_id)
            assert len(found) == 1
            if found[0]["outcome"] or time.monotonic() > deadline:
                return found[0]
            time.sleep(0.02)


@contextmanager
def running_twins(folder: Path) -> Generator[Twins]:
    """Started there, and killed in the end."""
    twins = Twins(folder)
    try:
        twins.start()
        yield twins
    finally:
        twins.kill()
