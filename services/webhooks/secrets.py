"""The secrets that senders sign with, read where the settings say, and read again so that a new one needs no restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from steward.clients.secrets import read_secret
from steward.errors import StewardError
from steward.settings import Vault, Webhooks
from steward.webhooks.signatures import github_secret, signed_secret

_REFRESH_SECONDS = 30.0
#: Until each was read once.
_RETRY_SECONDS = 2.0
_KEYS: dict[str, Callable[[str], bytes]] = {"github": github_secret, "signed": signed_secret}

_log = logging.getLogger(__name__)


class Secrets:
    """By source. One that cannot be read stays what it was: a vault that is away shuts nobody out."""

    def __init__(self, webhooks: Webhooks, vault: Vault | None) -> None:
        self._webhooks, self._vault = webhooks, vault
        self._keys: dict[str, dict[str, bytes]] = {name: {} for name in webhooks.sources}
        self._told: dict[tuple[str, str], str] = {}

    async def keep_fresh(self) -> None:
        """For ever."""
        while True:
            await asyncio.to_thread(self.read)
            await asyncio.sleep(_RETRY_SECONDS if self.unread() else _REFRESH_SECONDS)

    def read(self) -> None:
        """All that can be."""
        for name, source in self._webhooks.sources.items():
            for reference in source.secrets:
                self._read(name, reference, _KEYS[source.kind])

    def of(self, source: str) -> Sequence[bytes]:
        """Those that were read."""
        return tuple(self._keys[source].values())

    def is_complete(self, source: str) -> bool:
        """Whether each of its secrets was read once."""
        return len(self._keys[source]) == len(set(self._webhooks.sources[source].secrets))

    def unread(self) -> list[str]:
        """Sources of which a secret was never read."""
        return [name for name in self._webhooks.sources if not self.is_complete(name)]

    def _read(self, name: str, reference: str, key_of: Callable[[str], bytes]) -> None:
        try:
            self._keys[name][reference] = key_of(read_secret(reference, self._vault))
        except StewardError as error:
            if self._told.get((name, reference)) != error.message:
                _log.warning("a secret of the source %s cannot be used: %s", name, error.message)
            self._told[name, reference] = error.message
        else:
            self._told.pop((name, reference), None)
