"""Tenants' keys in memory, each with its times; and which of them goes when there are too many.

Times are those of the cache's clock. Whoever changes anything here holds the cache's lock, with one exception: `recent`
and `uses` are written by every use without it. A lost update there costs a use counted too few.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import ValuesView

from steward.fieldcrypt.cache.loading import Loaded
from steward.fieldcrypt.cache.troubles import Trouble
from steward.fieldcrypt.cachepolicy import CachePolicy

_NEVER = float("-inf")


class Entry:
    """One tenant's keys and their times."""

    __slots__ = (
        "_most_uses",
        "complete",
        "fresh_until",
        "keys",
        "loaded_at",
        "look_at",
        "look_at_uses",
        "not_before",
        "recent",
        "refresh_at",
        "seen_epoch",
        "sought_at",
        "stale_until",
        "trouble",
        "uses",
    )

    def __init__(self, loaded: Loaded, now: float, policy: CachePolicy, before: Entry | None) -> None:
        ttl = policy.ttl_seconds * random.uniform(1 - policy.jitter, 1 + policy.jitter)  # noqa: S311 - spreads load
        self.keys, self.complete = loaded.keys, loaded.complete
        self.seen_epoch = loaded.keys.epoch if loaded.complete else before.seen_epoch if before else 0
        self.loaded_at = now
        self.refresh_at = now + ttl * policy.refresh_at
        self.fresh_until = now + ttl
        self.stale_until = self.fresh_until + policy.stale_seconds
        self.look_at = self.refresh_at
        """Until then, and for fewer than `look_at_uses` uses, the keys are given out without another look."""
        self.uses, self.look_at_uses, self._most_uses = 0, policy.most_uses, policy.most_uses
        self.recent = True
        self.not_before = _NEVER if loaded.complete else now + policy.retry_seconds
        """No load in the background begins earlier."""
        self.sought_at = before.sought_at if before else _NEVER
        self.trouble: Trouble | None = None

    @property
    def refused(self) -> bool:
        """Keyring or vault answered, and said no."""
        return self.trouble is not None and not self.trouble.transient

    def is_due(self, now: float) -> bool:
        """Whether a load in the background should begin."""
        return now >= self.not_before and (now >= self.refresh_at or self.uses >= self.look_at_uses)

    def serves(self, now: float, trying_since: float | None) -> bool:
        """Whether the keys may be used: past the TTL only where a load failed, or was tried in time and is not back."""
        if now < self.fresh_until:
            return True
        if now >= self.stale_until or self.refused:
            return False
        return self.trouble is not None or (trying_since is not None and trying_since < self.fresh_until)

    def is_spent(self, now: float) -> bool:
        """Whether nothing but a new load helps: no trouble that comes now makes these keys usable again."""
        return now >= (self.fresh_until if self.refused else self.stale_until)

    def look_again(self, now: float, *, flying: bool, not_before: float) -> None:
        """Set the next time at which something changes: a load is due, the TTL ends, or the stale limit."""
        if self.uses >= self.look_at_uses:
            self.look_at_uses = self.uses + self._most_uses
        times = [self.fresh_until, self.stale_until]
        if not flying:
            times.append(max(self.refresh_at, self.not_before, not_before))
        self.look_at = min((time for time in times if time > now), default=now)

    def fail(self, trouble: Trouble) -> Trouble:
        """Note a failed load. Returns what holds from now on."""
        self.trouble = trouble.as_refusal_of(self.trouble)
        self.not_before = trouble.again_at
        return self.trouble


class Entries:
    """All entries; a second chance for those used since they were last looked at (the clock algorithm)."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_tenant: OrderedDict[str, Entry] = OrderedDict()
        # One bound method: reading needs no lock, for the interpreter does it in one go.
        self.get = self._by_tenant.get
        self.evicted = 0
        self._hits_of_gone = 0

    def put(self, tenant: str, entry: Entry) -> None:
        """In the place of the entry that is there, or as the youngest; then the oldest unused ones go."""
        self._count_hits(self.get(tenant))
        self._by_tenant[tenant] = entry
        while len(self._by_tenant) > self._most:
            oldest, candidate = next(iter(self._by_tenant.items()))
            if candidate.recent:
                candidate.recent = False
                self._by_tenant.move_to_end(oldest)
            else:
                self.drop(oldest)
                self.evicted += 1

    def drop(self, tenant: str) -> None:
        self._count_hits(self._by_tenant.pop(tenant, None))

    def drop_spent(self, now: float) -> None:
        for tenant, entry in self.items():
            if entry.is_spent(now):
                self.drop(tenant)

    def clear(self) -> None:
        self._hits_of_gone = self.hits
        self._by_tenant.clear()

    def items(self) -> list[tuple[str, Entry]]:
        """A copy, so that entries may be dropped on the way."""
        return list(self._by_tenant.items())

    def values(self) -> ValuesView[Entry]:
        return self._by_tenant.values()

    @property
    def hits(self) -> int:
        """Uses that found keys in memory."""
        return self._hits_of_gone + sum(entry.uses for entry in self.values())

    def __len__(self) -> int:
        return len(self._by_tenant)

    def _count_hits(self, gone: Entry | None) -> None:
        self._hits_of_gone += gone.uses if gone else 0
