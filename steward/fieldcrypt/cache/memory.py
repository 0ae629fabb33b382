"""What a process knows of tenants' keys: those in memory, failures of those that are not, epochs, counts.

Whoever calls holds the cache's lock, and says what time it is. Nothing here waits or asks anybody.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace

from steward.fieldcrypt.cache import troubles
from steward.fieldcrypt.cache.entries import Entries, Entry
from steward.fieldcrypt.cache.loading import Loaded
from steward.fieldcrypt.cache.troubles import Trouble
from steward.fieldcrypt.cachepolicy import CachePolicy
from steward.fieldcrypt.errors import KeysUnavailable
from steward.fieldcrypt.keyset import KeySet

#: Tenants without keys whose last failure is remembered: names that do not exist may come in any number.
_MOST_TROUBLES = 4096


class KeyMemory:
    """Entries of those tenants that were loaded, troubles of those that could not be."""

    def __init__(self, policy: CachePolicy) -> None:
        self._policy = policy
        self._sweep_seconds = policy.ttl_seconds / 10
        self._swept_at = float("-inf")
        self._troubles: OrderedDict[str, Trouble] = OrderedDict()
        self.entries = Entries(policy.most_tenants)
        self.loads = self.failures = 0
        self.newest_epoch = 0
        self.least_epoch = 0
        """Keys from before it are not taken in any more."""

    def trouble(self, tenant: str, now: float) -> Trouble | None:
        """Why a tenant without keys has none, as long as it is too early to ask again."""
        trouble = self._troubles.get(tenant)
        return None if trouble is None or now >= trouble.again_at else trouble

    def keep(self, loaded: Loaded, now: float) -> KeySet | Trouble:
        """Take in what a load brought, unless newer is known."""
        tenant, epoch = loaded.keys.tenant, loaded.keys.epoch
        before = self.entries.get(tenant)
        least = max(self.least_epoch, before.keys.epoch if before else 0)
        if epoch < least:
            return self.fail(tenant, _lagging(epoch, least), now)
        self.loads += 1
        self.newest_epoch = max(self.newest_epoch, epoch)
        self._troubles.pop(tenant, None)
        self.entries.put(tenant, Entry(loaded, now, self._policy, before))
        self._sweep(now)
        return loaded.keys

    def fail(self, tenant: str, error: Exception, now: float) -> Trouble:
        """Note that a load failed; the keys of a tenant that the keyring does not have (any more) go at once."""
        self.failures += 1
        entry = self.entries.get(tenant)
        before = entry.trouble if entry else self._troubles.get(tenant)
        pause_seconds = troubles.pause_seconds(self._policy, before, served=entry is not None)
        trouble = troubles.met(tenant, error, now, before, pause_seconds)
        if entry is None or trouble.gone:
            self.entries.drop(tenant)
            self._remember(trouble)
            return trouble
        return entry.fail(trouble)

    def slow(self, tenant: str, entry: Entry | None, since: float, now: float) -> Trouble:
        """A load begun at *since* is not back in time. Until it is, keys that may serve do, and nobody waits as long."""
        slow = KeysUnavailable(
            f"no answer within {self._policy.load_seconds:g} s", hint="see whether keyring and vault run, and how fast"
        )
        trouble = replace(troubles.met(tenant, slow, now, None, self._policy.retry_seconds), since=since)
        if entry is not None and entry.trouble is None:
            entry.trouble = trouble
        return trouble

    def forget(self, tenant: str, entry: Entry) -> None:
        """Let keys go that may not be used any more, and remember why they could not be replaced."""
        self.entries.drop(tenant)
        if entry.trouble is not None:
            self._remember(entry.trouble)

    def seen_epoch(self) -> int:
        """The oldest epoch that keys in memory are as new as; where none are, the newest that was ever told of."""
        newest = max(self.newest_epoch, self.least_epoch)
        return min((entry.seen_epoch for entry in self.entries.values()), default=newest)

    def behind(self, epoch: int, changed: Mapping[str, int] | None) -> list[tuple[str, Entry]]:
        """Entries from before *epoch* that it may concern; the others are as new as it is. *changed*: see TenantKeys."""
        behind: list[tuple[str, Entry]] = []
        for tenant, entry in self.entries.items():
            last_change = epoch if changed is None or not entry.complete else changed.get(tenant, 0)
            if entry.seen_epoch < last_change:
                behind.append((tenant, entry))
            else:
                entry.seen_epoch = max(entry.seen_epoch, epoch)
        return behind

    def _remember(self, trouble: Trouble) -> None:
        self._troubles[trouble.tenant] = trouble
        self._troubles.move_to_end(trouble.tenant)
        if len(self._troubles) > _MOST_TROUBLES:
            self._troubles.popitem(last=False)

    def _sweep(self, now: float) -> None:
        # Now and then: keys that nobody asks for any more should not lie about until something else needs the room.
        if now >= self._swept_at + self._sweep_seconds:
            self._swept_at = now
            self.entries.drop_spent(now)


def _lagging(epoch: int, least: int) -> KeysUnavailable:
    return KeysUnavailable(
        f"the keyring answers with epoch {epoch}, and {least} was seen before",
        hint="a replica database lags: wait; the keyring was restored from a backup: restart this process",
    )
