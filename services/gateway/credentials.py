"""The providers' keys: read from where the settings say, again every few seconds, so that a new one needs no restart."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from steward.ai import keys
from steward.clients.secrets import read_secret
from steward.errors import BadInput, StewardError
from steward.settings import Settings
from steward.stopping import stop

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Credential:
    """One account's key as it is now."""

    secret: str = field(repr=False)
    version: str
    """What may be told of it: the beginning of its hash."""
    since: float = field(default_factory=time.monotonic)
    """From when on attempts take it."""
    before: str = ""
    """The version that they took before."""

    @property
    def told(self) -> str:
        """The version that no attempt is older than which the ledger does not have yet.

        An attempt that chose the key before may be on its way to the ledger: whoever revokes that key looks there for
        attempts under it, once no worker tells of it any more.
        """
        entering = time.monotonic() < self.since + keys.ENTERING_SECONDS
        return self.before if self.before and entering else self.version


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
            await stop(self._refreshing)

    def of(self, account: str) -> Credential:
        """The newest that could be read."""
        return self._now[account]

    @property
    def versions(self) -> Mapping[str, str] | None:
        """By account, what this worker tells that it uses; nothing while it reads them for the first time."""
        if len(self._now) < len(self._accounts):
            return None
        return {account: each.told for account, each in self._now.items()}

    async def refresh(self) -> None:
        """Raises what reading them raises; those that were read stay."""
        for account in self._accounts:
            reference = self._settings.providers[account].key
            secret = await asyncio.to_thread(read_secret, reference, self._settings.vault)
            now = self._now.get(account)
            if now is None or now.secret != secret:
                self._now[account] = Credential(secret, keys.version_of(secret), before=now.version if now else "")

    async def _refresh_for_ever(self) -> None:
        while True:
            await asyncio.sleep(keys.REFRESH_SECONDS)
            try:
                await self.refresh()
            except StewardError as error:
                _log.warning("provider keys are used as they were: %s", error.message)
