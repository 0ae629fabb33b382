"""One unbilled question, `GET /v1/models`, to each account at a provider, all side by side and within seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import httpx

from steward.ai.probing import Probe, ProviderState, classify
from steward.clients.authorities import authorities
from steward.clients.provider_keys_anthropic import anthropic_headers
from steward.clients.provider_keys_openai import openai_headers
from steward.clients.secrets import read_secret
from steward.errors import StewardError
from steward.settings import Provider, Settings, Vault

#: Of one question, from its first byte to the head of its answer.
TIMEOUT_SECONDS = 4.0
#: Of all of them, our own keys included. One that is not over by then is told as what it is known to be.
ROUND_SECONDS = 4.5
_PATH = "/v1/models"
_HEADERS: Mapping[str, Callable[[str], dict[str, str]]] = {"openai": openai_headers, "anthropic": anthropic_headers}


def probe_providers(settings: Settings) -> list[Probe]:
    """Every account of the settings, asked now. It raises nothing: what goes wrong is what it tells."""
    asking = {name: _Asking(name, account, settings.vault) for name, account in settings.providers.items()}
    if not asking:
        return []
    pool = ThreadPoolExecutor(len(asking), thread_name_prefix="probe")
    futures = {name: pool.submit(each.ask) for name, each in asking.items()}
    wait(futures.values(), ROUND_SECONDS)
    # Not waited for: a vault that hangs is given up by its own client.
    pool.shutdown(wait=False, cancel_futures=True)
    return [_told(asking[name], future) for name, future in futures.items()]


@dataclass
class _Asking:
    """One account in its turn. `left_at`: when its question left, so that one that hangs is told from one that was not made."""

    name: str
    account: Provider
    vault: Vault | None
    left_at: float | None = None

    def ask(self) -> Probe:
        try:
            key = read_secret(self.account.key, self.vault)
        except StewardError as error:
            return self.unmade(type(error).__name__, f"its key could not be read: {error.message}")
        self.left_at = time.monotonic()
        try:
            status, is_json = self._answer(_HEADERS[self.account.kind](key))
        except httpx.TransportError as error:
            if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
                # Its text would quote the header, and the key with it.
                return self.unmade(type(error).__name__, "its key cannot be sent as a header")
            return self.failed(type(error).__name__)
        except UnicodeError as error:
            return self.unmade(type(error).__name__, "its key cannot be sent as a header")
        milliseconds = self.milliseconds
        state, error_class = classify(status, milliseconds, is_json=is_json)
        return self._probe(state, error_class, http_status=status, latency_ms=milliseconds)

    def _answer(self, headers: Mapping[str, str]) -> tuple[int, bool]:
        # A connection of its own each time: one kept from the last round may be dead without the provider being so.
        with (
            httpx.Client(timeout=TIMEOUT_SECONDS, verify=authorities(), trust_env=False) as client,
            client.stream("GET", self.account.url.rstrip("/") + _PATH, headers=headers) as answer,
        ):
            # The body is not read.
            return answer.status_code, "json" in answer.headers.get("content-type", "")

    @property
    def milliseconds(self) -> int:
        return 0 if self.left_at is None else int((time.monotonic() - self.left_at) * 1000)

    def failed(self, error_class: str) -> Probe:
        return self._probe(ProviderState.DOWN, error_class, latency_ms=self.milliseconds)

    def unmade(self, error_class: str, told: str) -> Probe:
        return self._probe(ProviderState.UNKNOWN, error_class, told=told)

    def _probe(
        self,
        state: ProviderState,
        error_class: str | None,
        *,
        http_status: int | None = None,
        latency_ms: int | None = None,
        told: str = "",
    ) -> Probe:
        return Probe(
            account=self.name,
            provider=self.account.kind,
            state=state,
            http_status=http_status,
            latency_ms=latency_ms,
            error_class=error_class,
            told=told,
        )


def _told(asking: _Asking, future: Future[Probe]) -> Probe:
    if not future.done():
        if asking.left_at is not None:
            return asking.failed("ReadTimeout")
        return asking.unmade("KeyNotRead", f"its key could not be read within {ROUND_SECONDS:g} s")
    if error := future.exception():
        # Whatever it is, it is ours; its text is not told, for it may quote what was sent.
        return asking.unmade(type(error).__name__, "the question could not be made")
    return future.result()
