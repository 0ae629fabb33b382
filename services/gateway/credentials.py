"""The providers' keys: read from where the settings say, again every few seconds, so that a new one needs no restart."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from steward.clients.secrets import read_secret
from steward.errors import BadInput, StewardError
from steward.settings import Settings

#: How long a key that was taken back may still be used here, and so how long a rotation waits at least.
REFRESH_SECONDS = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Credential:
    """One account's key as it is now."""

    secret: str = field(repr=False)
    version: str
    """What may be told of it: the beginning of its hash."""


class Credentials:
    """Of all accounts that routes name. `async with` keeps them fresh."""

    def __init__(self, settings: Settings, accounts: Iterable[str]) -> None:
        if unknown := sorted(set(accounts) - set(settings.providers)):
            raise BadInput(
                f"the catalog names accounts that the settings do not: {', '.join(unknown)}",
                hint=f"add [providers.{unknown[0]}] to the settings file",
            )
        self._settings, self._accounts = settings, sorted(set(accounts))
        self._now: dict[str, Credential] = {}
        self._refreshing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.refresh()
        self._refreshing = asyncio.create_task(self._refresh_for_ever(), name="credentials")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._refreshing:
            self._refreshing.cancel()

    def of(self, account: str) -> Credential:
        """The newest that could be read."""
        return self._now[account]

    @property
    def versions(self) -> Mapping[str, str]:
        """By account, what this worker uses."""
        return {account: each.version for account, each in self._now.items()}

    async def refresh(self) -> None:
        """Raises what reading them raises; those that were read stay."""
        for account in self._accounts:
            reference = self._settings.providers[account].key
            secret = await asyncio.to_thread(read_secret, reference, self._settings.vault)
            if account not in self._now or self._now[account].secret != secret:
                self._now[account] = Credential(secret, version_of(secret))

    async def _refresh_for_ever(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await self.refresh()
            except StewardError as error:
                _log.warning("provider keys are used as they were: %s", error.message)


def version_of(secret: str) -> str:
    """A name for a key that gives nothing of it away: providers' keys are random and long."""
    return hashlib.sha256(secret.encode()).hexdigest()[:16]
