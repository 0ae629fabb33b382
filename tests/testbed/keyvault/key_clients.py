"""Azure's KeyClient and CryptographyClient, sync or aio, behind one way of calling: a test's body runs against both."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable, Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core.exceptions import HttpResponseError
from azure.keyvault.keys import KeyClient, KeyVaultKey
from azure.keyvault.keys.aio import KeyClient as AsyncKeyClient
from azure.keyvault.keys.crypto import CryptographyClient
from azure.keyvault.keys.crypto.aio import CryptographyClient as AsyncCryptographyClient

from tests.testbed.keyvault.ground import TestVault

# The SDKs ask every 2 s whether a deletion came through.
_POLL_SECONDS = 0.1


class Plain:
    """Calls of *target* as they are; what pages comes as a list."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._target, name)
        return lambda *given, **named: self._finish(call(*given, **named))

    def _finish(self, result: Any) -> Any:
        return list(result) if isinstance(result, Iterable) and hasattr(result, "by_page") else result


class OnLoop(Plain):
    """Calls of an async *target*, each run to its end."""

    def __init__(self, target: Any, runner: asyncio.Runner) -> None:
        super().__init__(target)
        self._runner = runner

    def _finish(self, result: Any) -> Any:
        if inspect.isawaitable(result):
            return self._runner.run(_awaited(result))
        return self._runner.run(_listed(result)) if isinstance(result, AsyncIterable) else result


class Keys:
    """The keys of *vault* by *principal*, through the SDK of one *flavour*: `sync` or `aio`."""

    def __init__(self, vault: TestVault, flavour: str, stack: ExitStack) -> None:
        self._vault, self._stack = vault, stack
        self._runner = stack.enter_context(asyncio.Runner()) if flavour == "aio" else None
        self._clients: dict[str, Plain] = {}
        self._credentials: dict[str, Any] = {}

    def by(self, principal: str) -> Any:
        """The KeyClient of *principal*."""
        if principal not in self._clients:
            self._clients[principal] = self._opened(AsyncKeyClient if self._runner else KeyClient, principal)
        return self._clients[principal]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return getattr(self.by("administrator"), name)

    def at_once(self, calls: Iterable[tuple[Any, ...]]) -> list[Any]:
        """The results of *calls* of the administrator's aio client, (method, *arguments), all under way together."""
        assert self._runner is not None
        client = self.by("administrator")._target

        async def gathered() -> list[Any]:
            return list(await asyncio.gather(*(getattr(client, call)(*given) for call, *given in calls)))

        return self._runner.run(gathered())

    def delete(self, name: str) -> Any:
        """Delete and wait for it to be through; the deleted key."""
        if self._runner:
            return self.by("administrator").delete_key(name, _polling_interval=_POLL_SECONDS)
        poller = self.by("administrator").begin_delete_key(name, _polling_interval=_POLL_SECONDS)
        poller.wait()
        return poller.result()

    def recover(self, name: str) -> KeyVaultKey:
        if self._runner:
            return self.by("administrator").recover_deleted_key(name, _polling_interval=_POLL_SECONDS)
        poller = self.by("administrator").begin_recover_deleted_key(name, _polling_interval=_POLL_SECONDS)
        poller.wait()
        return poller.result()

    def crypto(self, key: KeyVaultKey | str, principal: str = "administrator") -> Any:
        """The CryptographyClient of *key* for *principal*: `wrapper` may not read keys, so all of its work is the vault's."""
        kind = AsyncCryptographyClient if self._runner else CryptographyClient
        return self._opened(kind, principal, key)

    def _opened(self, kind: Callable[..., Any], principal: str, key: KeyVaultKey | str | None = None) -> Plain:
        options = {"verify_challenge_resource": False, "connection_verify": str(self._vault.ca_file)}
        client = self._called(kind(self._vault.url if key is None else key, self._credential(principal), **options))
        self._stack.callback(client.close)
        return client

    def _credential(self, principal: str) -> Any:
        if principal not in self._credentials:
            credential = (self._vault.async_credential if self._runner else self._vault.credential)(principal)
            self._credentials[principal] = credential
            self._stack.callback(self._called(credential).close)
        return self._credentials[principal]

    def _called(self, target: Any) -> Plain:
        return OnLoop(target, self._runner) if self._runner else Plain(target)


@contextmanager
def open_keys(vault: TestVault, flavour: str) -> Generator[Keys]:
    with ExitStack() as stack:
        yield Keys(vault, flavour, stack)


async def _awaited(result: Any) -> Any:
    return await result


async def _listed(result: AsyncIterable[Any]) -> list[Any]:
    return [item async for item in result]


def in_whole_seconds(**later: float) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(**later)


def error_code(error: HttpResponseError) -> tuple[int | None, str | None]:
    assert error.error is not None
    return error.status_code, error.error.code
