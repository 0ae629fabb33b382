"""All that the listeners share: the accounts, what came in, the limits, what goes wrong, the seed."""

from __future__ import annotations

import time
from pathlib import Path

from replica.providers.billing.prices import STANDARD_TABLE, Prices
from replica.providers.configuration import PROVIDERS, Account, Configuration
from replica.providers.dials import Dials
from replica.providers.keys import ADMIN, ApiKey, Keys
from replica.providers.limits import Oracle
from replica.providers.prompt_cache import PromptCache
from replica.providers.truth import Truth


class Twin:
    """Both providers' state, in one folder."""

    def __init__(self, configuration: Configuration) -> None:
        folder = Path(configuration.folder)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.configuration = configuration
        self.seed = configuration.seed
        self.accounts = {each.name: each for each in configuration.accounts}
        self.truth = Truth(folder / "truth.db", self.seed)
        self.keys = Keys(self.truth.database)
        for account in configuration.accounts:
            self.keys.enrol(account)
        self.oracle = Oracle(configuration.accounts, configuration.window_seconds, configuration.limits, time.monotonic)
        self.dials = Dials(self.seed)
        self.cache = PromptCache(time.monotonic)
        self.prices = Prices(Path(configuration.prices_file or STANDARD_TABLE))
        self._ordinals: dict[str, int] = dict.fromkeys(PROVIDERS, 0)

    def ordinal(self, provider: str) -> int:
        """How many arrivals *provider* had before this one, since the start or since `begin_anew`."""
        self._ordinals[provider] += 1
        return self._ordinals[provider] - 1

    def begin_anew(self) -> None:
        """Arrivals count from 0, caches and limits' logs are empty, no dial is set. What came in stays on record."""
        self._ordinals.update(dict.fromkeys(PROVIDERS, 0))
        self.cache.forget()
        self.oracle.forget()
        self.dials.clear()

    def administrator(self, provider: str, secret: str) -> Account | None:
        """Whose admin key this is."""
        key: ApiKey | None = self.keys.find(provider, secret)
        return self.accounts[key.account] if key and key.role == ADMIN and key.state == "active" else None

    def close(self) -> None:
        """Nothing is lost."""
        self.truth.close()
