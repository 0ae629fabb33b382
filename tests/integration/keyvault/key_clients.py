"""Azure's KeyClient and CryptographyClient, sync or aio, behind one way of calling: a test's body runs against both."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterable, Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from typing import Any

from azure.keyvault.keys import KeyClient, KeyVaultKey
from azure.keyvault.keys.aio import KeyClient as AsyncKeyClient
from azure.keyvault.keys.crypto import CryptographyClient
from azure.keyvault.keys.crypto.aio import CryptographyClient as AsyncCryptographyClient

from tests.integration.keyvault.conftest import TestVault

_WAIT_SECONDS = 60


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
    """Calls of an async *target*, each run to its end on *loop*, which runs in a thread of its own."""

    def __init__(self, target: Any, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(target)
        self._loop = loop

    def _finish(self, result: Any) -> Any:
        if inspect.isawaitable(result):
            return asyncio.run_coroutine_threadsafe(_awaited(result), self._loop).result(_WAIT_SECONDS)
        if isinstance(result, AsyncIterable):
            return asyncio.run_coroutine_threadsafe(_listed(result), self._loop).result(_WAIT_SECONDS)
        return result


class Keys:
    """The keys of *vault* by *principal*, through the SDK of one *flavour*: `sync` or `aio`."""

    def __init__(self, vault: TestVault, flavour: str, stack: ExitStack) -> None:
        self._vault, self._flavour, self._stack = vault, flavour, stack
        self._loop = stack.enter_context(_running_loop()) if flavour == "aio" else None
        self._clients: dict[str, Plain] = {}

    def by(self, principal: str) -> Any:
        """The KeyClient of *principal*."""
        if principal not in self._clients:
            self._clients[principal] = self._opened(AsyncKeyClient if self._loop else KeyClient, principal)
        return self._clients[principal]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return getattr(self.by("administrator"), name)

    def at_once(self, calls: Iterable[tuple[Any, ...]]) -> list[Any]:
        """The results of *calls* of the administrator's aio client, (method, *arguments), all under way together."""
        assert self._loop is not None
        client = self.by("administrator")._target

        async def gathered() -> list[Any]:
            return list(await asyncio.gather(*(getattr(client, call)(*given) for call, *given in calls)))

        return asyncio.run_coroutine_threadsafe(gathered(), self._loop).result(_WAIT_SECONDS)

    def delete(self, name: str) -> Any:
        """Delete and wait for it to be through; the deleted key."""
        if self._loop:
            return self.by("administrator").delete_key(name)
        poller = self.by("administrator").begin_delete_key(name)
        poller.wait()
        return poller.result()

    def recover(self, name: str) -> KeyVaultKey:
        if self._loop:
            return self.by("administrator").recover_deleted_key(name)
        poller = self.by("administrator").begin_recover_deleted_key(name)
        poller.wait()
        return poller.result()

    def crypto(self, key: KeyVaultKey | str, principal: str = "administrator") -> Any:
        """The CryptographyClient of *key* for *principal*: `wrapper` may not read keys, so all of its work is the vault's."""
        kind = AsyncCryptographyClient if self._loop else CryptographyClient
        return self._opened(kind, principal, key)

    def _opened(self, kind: Callable[..., Any], principal: str, key: KeyVaultKey | str | None = None) -> Plain:
        options = {"verify_challenge_resource": False, "connection_verify": str(self._vault.ca_file)}
        subject = self._vault.url if key is None else key
        if self._loop:
            credential: Any = self._vault.async_credential(principal)
            client = OnLoop(kind(subject, credential, **options), self._loop)
            self._stack.callback(OnLoop(credential, self._loop).close)
        else:
            credential = self._vault.credential(principal)
            client = Plain(kind(subject, credential, **options))
            self._stack.callback(credential.close)
        self._stack.callback(client.close)
        return client


@contextmanager
def open_keys(vault: TestVault, flavour: str) -> Generator[Keys]:
    with ExitStack() as stack:
        yield Keys(vault, flavour, stack)


@contextmanager
def _running_loop() -> Generator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_WAIT_SECONDS)
        loop.close()


async def _awaited(result: Any) -> Any:
    return await result


async def _listed(result: AsyncIterable[Any]) -> list[Any]:
    return [item async for item in result]
