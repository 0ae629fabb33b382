"""One body of test for both SDKs: the asynchronous client behind the synchronous one's manner of speaking."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

from azure.keyvault.secrets import SecretClient
from azure.keyvault.secrets.aio import SecretClient as AsyncSecretClient

from tests.testbed.keyvault.ground import TestVault

# The SDKs ask every 2 s whether a deletion came through.
_POLL_SECONDS = 0.1


class Secrets:
    """Blocking calls on the synchronous client."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return getattr(self._client, name)

    def items(self, name: str, *arguments: Any, **more: Any) -> list[Any]:
        return list(getattr(self._client, name)(*arguments, **more))

    def delete(self, name: str) -> Any:
        poller = self._client.begin_delete_secret(name, _polling_interval=_POLL_SECONDS)
        poller.wait()
        return poller.result()

    def recover(self, name: str) -> Any:
        poller = self._client.begin_recover_deleted_secret(name, _polling_interval=_POLL_SECONDS)
        poller.wait()
        return poller.result()


class AsyncSecrets(Secrets):
    """The same on the asynchronous client, in a loop of the test's own."""

    def __init__(self, client: Any, runner: asyncio.Runner) -> None:
        super().__init__(client)
        self._runner = runner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *arguments, **more: self._runner.run(getattr(self._client, name)(*arguments, **more))

    def items(self, name: str, *arguments: Any, **more: Any) -> list[Any]:
        async def collect() -> list[Any]:
            return [item async for item in getattr(self._client, name)(*arguments, **more)]

        return self._runner.run(collect())

    def delete(self, name: str) -> Any:
        return self._runner.run(self._client.delete_secret(name, _polling_interval=_POLL_SECONDS))

    def recover(self, name: str) -> Any:
        return self._runner.run(self._client.recover_deleted_secret(name, _polling_interval=_POLL_SECONDS))


@contextmanager
def secrets_of(vault: TestVault, how: str, principal: str = "administrator", **more: Any) -> Generator[Secrets]:
    """`how` is `sync` or `async`."""
    if how == "sync":
        with vault.client(SecretClient, principal, **more) as client:
            yield Secrets(client)
        return
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        client = runner.run(stack.enter_async_context(vault.async_client(AsyncSecretClient, principal, **more)))
        try:
            yield AsyncSecrets(client, runner)
        finally:
            runner.run(stack.aclose())
