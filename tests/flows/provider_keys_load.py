"""Steady requests through a worker of the gateway, while keys change under it."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from services.gateway import admission
from steward.ai import keys
from steward.clients import attempts_workers
from steward.clients.ratelimit import load_functions
from steward.ratelimit import Policy
from tests.flows.provider_keys_ground import Account, Ground
from tests.integration.gateway.ground import KEY, Running
from tests.keyring_ground import query

_CALLERS = 3
_MODELS = {"openai": "gpt-4.1", "anthropic": "claude-sonnet-5-5"}
_ASKED = {"messages": [{"role": "user", "content": "Which way is the sea?"}], "max_tokens": 20}
_PATIENCE_SECONDS = 60


class Load:
    """Callers that ask one request after another, of each account in turn, whole and streamed."""

    def __init__(self, ground: Ground, gateway: Running, accounts: Sequence[Account]) -> None:
        self._ground, self._gateway, self._accounts = ground, gateway, accounts
        self.failed: list[str] = []
        self._answered, self._over = itertools.count(), threading.Event()
        self.answered = 0
        self._threads = [threading.Thread(target=self._ask_on, name=f"caller-{n}") for n in range(_CALLERS)]

    def begin(self) -> None:
        """From the first answer of each account on: a limit of which nothing is known starts exhausted."""
        give_up = time.monotonic() + _PATIENCE_SECONDS
        with httpx.Client(timeout=30) as client:
            while [wrong for each in self._accounts if (wrong := self._ask(client, each, stream=False))]:
                assert time.monotonic() < give_up
                time.sleep(0.2)
        for thread in self._threads:
            thread.start()

    def more(self, count: int) -> None:
        """Wait for so many answers from now on."""
        wanted, give_up = self.answered + count, time.monotonic() + _PATIENCE_SECONDS
        while self.answered < wanted and not self.failed:
            assert time.monotonic() < give_up
            time.sleep(0.02)

    def end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def versions(self, account: Account) -> set[str]:
        """Of keys under which attempts of the account were made."""
        rows = query(
            self._ground.settings,
            "SELECT DISTINCT credential_version FROM steward.ai_attempts WHERE account = %s AND state = 'settled'",
            account.name,
        )
        return {version for (version,) in rows}

    def _ask_on(self) -> None:
        turns = itertools.cycle(itertools.product(self._accounts, (False, True)))
        with httpx.Client(timeout=30) as client:
            while not self._over.is_set():
                account, stream = next(turns)
                if wrong := self._ask(client, account, stream=stream):
                    self.failed.append(wrong)
                self.answered = next(self._answered)
                # Steady, not as much as the machine can: the rotation runs on it too.
                self._over.wait(0.05)

    def _ask(self, client: httpx.Client, account: Account, *, stream: bool) -> str:
        path = "/v1/messages" if account.kind == "anthropic" else "/v1/chat/completions"
        headers = {"authorization": f"Bearer {KEY}", "anthropic-version": "2026-10-21"}
        body = {**_ASKED, "model": account.name, "stream": stream}
        try:
            answer = client.post(f"{self._gateway.url}{path}", headers=headers, json=body)
        except httpx.HTTPError as error:
            return f"{account.name}: {error!r}"
        whole = answer.status_code == 200 and (not stream or "[DONE]" in answer.text or "message_stop" in answer.text)
        return "" if whole else f"{account.name}: {answer.status_code} {answer.text[-200:]}"


@contextmanager
def load_of(ground: Ground, accounts: Sequence[Account], folder: Path, patch: pytest.MonkeyPatch) -> Generator[Load]:
    """A worker that looks for keys, and tells of them, a few times a second; and its callers."""
    patch.setattr(keys, "REFRESH_SECONDS", 0.2)
    patch.setattr(keys, "ENTERING_SECONDS", 0.5)
    patch.setattr(attempts_workers, "HEARTBEAT_SECONDS", 0.2)
    # A ring of five seconds, in place of a minute, starts exhausted. Its tickets live long enough for a busy machine.
    patch.setattr(admission, "POLICY", Policy(window_seconds=1, dispatch_seconds=3))
    load_functions(ground.settings)
    ground.twins.admin("PUT", "/limits", {"mode": "off"})
    catalog = {"alias": [_alias(each) for each in accounts]}
    with Running(ground.settings, ground.twins, folder, catalog) as gateway:
        load = Load(ground, gateway, accounts)
        load.begin()
        try:
            yield load
        finally:
            load.end()


def _alias(account: Account) -> dict[str, object]:
    """One route: what fails there fails for its caller."""
    route = {
        "account": account.name,
        "model": _MODELS[account.kind],
        "most_output_tokens": 50,
        "limits": {"requests": 10_000},
    }
    return {"name": account.name, "route": [route]}
