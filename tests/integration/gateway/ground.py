"""A worker of the gateway in a thread, between the official clients and twins of the providers."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import anthropic
import httpx
import openai
import tomli_w
import uvicorn

from replica import ports
from services.gateway.application import Gateway
from services.gateway.callers import digest
from steward.clients.postgres import connect
from steward.settings import Gateway as Described
from steward.settings import Provider, Settings
from tests.testbed.providers.ground import PROJECT, WORKSPACE, Twins

KEY, MANY, FEW = "sgw-of-crm", "sgw-of-many", "sgw-of-few"
CALLERS = {
    "caller": [
        {"id": "crm", "sha256": digest(KEY), "tenant": "acme", "project": "support"},
        {"id": "batch", "sha256": digest(MANY)},
        {"id": "few", "sha256": digest(FEW), "requests": 2},
    ]
}
#: By alias: who serves it.
OPENAI = {"account": "openai", "model": "gpt-4.1", "most_output_tokens": 500, "limits": {"requests": 10_000}}
ANTHROPIC = {
    "account": "anthropic",
    "model": "claude-sonnet-5-5",
    "most_output_tokens": 500,
    "limits": {"requests": 10_000},
}
EMBEDDINGS = {
    "account": "openai",
    "model": "text-embedding-3-small",
    "most_output_tokens": 0,
    "limits": {"requests": 99},
}
CATALOG = {
    "alias": [
        {"name": "gpt", "route": [OPENAI]},
        {"name": "claude", "route": [ANTHROPIC]},
        # Nearly always OpenAI first.
        {"name": "chat", "route": [{**OPENAI, "weight": 1000}, {**ANTHROPIC, "weight": 0.001}]},
        {"name": "embeddings", "route": [EMBEDDINGS]},
        {
            "name": "prompt",
            "route": [
                {**OPENAI, "model": "gpt-4o-mini", "weight": 1000, "first_byte_seconds": 1},
                {**ANTHROPIC, "weight": 0.001},
            ],
        },
        {"name": "small", "route": [{**ANTHROPIC, "model": "claude-haiku-5-5", "limits": {"requests": 2}}]},
    ]
}
ROUTES = {f"{route['account']}:{route['model']}" for alias in CATALOG["alias"] for route in alias["route"]}
_UP_SECONDS = 30
#: It is asked without TLS: to read the roots of the whole web for that would take 40 ms of a processor a client.
_NO_ROOTS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Running:
    """One worker, until it is left."""

    def __init__(
        self, settings: Settings, twins: Twins, folder: Path, catalog_of: Mapping[str, Any] | None = None
    ) -> None:
        """*catalog_of*: of accounts that the settings describe already; absent: CATALOG, and accounts of the twins' own."""
        catalog, callers = folder / "catalog.toml", folder / "callers.toml"
        catalog.write_text(tomli_w.dumps(catalog_of or CATALOG))
        callers.write_text(tomli_w.dumps(CALLERS))
        providers = (
            settings.providers
            if catalog_of
            else {
                "openai": _provider("openai", twins.openai_url.removesuffix("/v1"), twins.secret_file("o1"), PROJECT),
                "anthropic": _provider("anthropic", twins.anthropic_url, twins.secret_file("a1"), WORKSPACE),
            }
        )
        described = Described(catalog=catalog, callers=callers)
        self.settings = settings.model_copy(update={"providers": providers, "gateway": described})
        self.callers, self.twins = callers, twins
        self._truths_before, self._carriers = 0, ExitStack()
        self.port = ports.choose(["gateway"], {})["gateway"]
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(Gateway(self.settings, "tests"), port=self.port, log_level="error", access_log=False)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="gateway")

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + _UP_SECONDS
        while not self._server.started:
            assert self._thread.is_alive(), "the worker did not start"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._carriers.close()
        self._server.should_exit = True
        self._thread.join()

    def openai(self, **more: Any) -> openai.OpenAI:
        """The official client; it makes one attempt."""
        carrier = self._carriers.enter_context(openai.DefaultHttpxClient(verify=_NO_ROOTS))
        told = {"base_url": f"{self.url}/v1", "api_key": KEY, "max_retries": 0, "http_client": carrier}
        return openai.OpenAI(**told | more)

    def anthropic(self, **more: Any) -> anthropic.Anthropic:
        carrier = self._carriers.enter_context(anthropic.DefaultHttpxClient(verify=_NO_ROOTS))
        told = {"base_url": self.url, "api_key": KEY, "max_retries": 0, "http_client": carrier}
        return anthropic.Anthropic(**told | more)

    def post(self, path: str, **asked: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {KEY}", **asked.pop("headers", {})}
        return httpx.post(f"{self.url}{path}", headers=headers, timeout=30, verify=_NO_ROOTS, **asked)

    def metrics(self) -> list[str]:
        """Its lines."""
        return httpx.get(f"{self.url}/metrics", verify=_NO_ROOTS).text.splitlines()

    def attempts(self) -> list[dict[str, Any]]:
        """The ledger's, once none is open any more, in the order in which they began."""
        deadline = time.monotonic() + 30
        while True:
            with connect(self.settings) as connection:
                cursor = connection.execute("SELECT to_jsonb(a) FROM steward.ai_attempts a ORDER BY reserved_at, id")
                found = [row for (row,) in cursor.fetchall()]
            if all(each["state"] not in {"reserved", "sent"} for each in found):
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.02)

    def begin(self) -> None:
        """From here on `truths` are a test's own: the twins' record is never emptied."""
        self._truths_before = len(self.twins.attempts())

    def truths(self) -> list[dict[str, Any]]:
        """What came in at the providers, by their own record, once all of it is over."""
        deadline = time.monotonic() + 30
        while True:
            found = self.twins.attempts()[self._truths_before :]
            if all(each["ended_at"] is not None for each in found):
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.02)


def _provider(kind: Any, url: str, file: str, project: str) -> Provider:
    return Provider(kind=kind, url=url, key=f"file:{file}", project=project)
