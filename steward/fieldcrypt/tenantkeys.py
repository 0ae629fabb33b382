"""Tenants' keys in memory: given out in well under a microsecond, and loaded before anybody has to wait for it.

- A use after 80 % of an entry's TTL asks for a load in the background and goes on. One load a tenant runs at a time,
  whoever asks for it: threads and coroutines share it. A tenant that nobody uses is not loaded again.
- Keyring or vault away, slow or throttling: keys that are in memory serve on, up to `stale_seconds` past their TTL, and
  then KeysUnavailable says since when and why. Loads are tried again after growing pauses; a pause that a server asks
  for is kept by all loads that nobody waits for.
- Keyring or vault refuses (forbidden, key disabled, a tampered keyring): keys serve until their own TTL ends and no
  longer, so a revocation takes effect within a TTL and `vouch_seconds`. An erased tenant's keys go as soon as a load learns
  of it: within a TTL, or TTL and stale limit together where the keyring could not be asked meanwhile.
- Keys whose wraps are the same stay. The vault is asked for the current one again, unless the same version of its key has
  unwrapped something within `vouch_seconds`: what is revoked is the right to that version, which tenants share.
- A keyring that answers with an older epoch than was seen before (a replica database that lags, a restored backup)
  counts as one that is away: newer keys are never replaced by knowledge from before them.

How a rotation waits for readers: after each change, until every reader has acknowledged the keyring's epoch. Every few
seconds the application asks the keyring what changed after `seen_epoch()`, calls `catch_up(epoch, changed)`, and
acknowledges the epoch once that says True. From then on no call in this process begins with older knowledge. One that
took its keys before, and has yet to write its row, is found by the rotation's own count of rows per key, before it
retires the key. Changed tenants are loaded a few at a time, and as slowly as requests do not feel; one that is used with keys
that do not serve any more is loaded at once.
"""

from __future__ import annotations

import asyncio
import os
import time
import weakref
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from steward.fieldcrypt.cache.flights import Flight
from steward.fieldcrypt.cache.refreshing import Refresher
from steward.fieldcrypt.cache.status import Status
from steward.fieldcrypt.cache.troubles import Trouble
from steward.fieldcrypt.cachepolicy import DEFAULT, CachePolicy
from steward.fieldcrypt.keyring import Keyring, KeyVault
from steward.fieldcrypt.keyset import KeySet


class TenantKeys:
    """The keys of a process, for any number of threads and of asyncio's event loops. Also a context manager.

    Its threads are daemons. The child of a fork keeps the keys and makes threads of its own; whether keyring and vault
    survive a fork is theirs to say.
    """

    def __init__(
        self,
        keyring: Keyring,
        vault: KeyVault,
        policy: CachePolicy = DEFAULT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy, self._clock = policy, clock
        self._refresher = Refresher(keyring, vault, policy, clock)
        self._find = self._refresher.find
        _all.add(self._refresher)

    def of(self, tenant: str) -> KeySet:
        """At once where they are in memory, without a lock; else after a load, waiting up to `load_seconds`.

        Raises TenantUnknown, TenantErased, KeysUnavailable (transient), KeysRefused, KeyringTampered.
        """
        answer = self._at_hand(tenant) or self._refresher.answer(tenant)
        if isinstance(answer, KeySet):
            return answer
        return self._refresher.settled(answer, self._wait(answer))

    async def ready(self, tenant: str) -> KeySet:
        """As `of`; what is in memory is there without a turn of the event loop."""
        answer = self._at_hand(tenant) or self._refresher.answer(tenant)
        if isinstance(answer, KeySet):
            return answer
        return self._refresher.settled(answer, await self._wait_in_loop(answer))

    def seek(self, tenant: str, key_id: int) -> KeySet:
        """The tenant's keys after asking the keyring anew, where that may bring *key_id* to light.

        Only an id above all that are known may: a tenant's newer generations have greater ones. Once in `seek_seconds` a
        tenant, so that damaged ciphertexts do not hammer the keyring. Raises as `of`: where the keyring cannot be asked,
        KeysUnavailable, since nobody can say then that the id is foreign.
        """
        answer = self._refresher.seek(self.of(tenant), key_id)
        return answer if isinstance(answer, KeySet) else self._refresher.found(answer, self._wait(answer))

    async def sought(self, tenant: str, key_id: int) -> KeySet:
        """As `seek`, without holding up an event loop."""
        answer = self._refresher.seek(await self.ready(tenant), key_id)
        return answer if isinstance(answer, KeySet) else self._refresher.found(answer, await self._wait_in_loop(answer))

    def catch_up(self, epoch: int, changed: Mapping[str, int] | None = None) -> bool:
        """Whether all that is in memory is as new as *epoch*, and stays so. Loads what is older in the background.

        Call it again until it says True, then acknowledge *epoch*. *changed* names the tenants whose keys changed after
        `seen_epoch()`, as it said before they were asked for, with the epoch of each one's latest change; without it every
        tenant counts as changed. Changed keys that serve stale are old; those not usable without a load are dropped.
        """
        return self._refresher.catch_up(epoch, changed)

    def seen_epoch(self) -> int:
        """The epoch that all keys in memory are as new as, now and from now on; the newest ever seen where none are."""
        return self._refresher.seen_epoch()

    def status(self) -> Status:
        """How it stands; some milliseconds for ten thousand tenants."""
        return self._refresher.status()

    def close(self) -> None:
        """Forget all keys; who waits for some, or asks later, is told so. Loads under way end by themselves."""
        self._refresher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _at_hand(self, tenant: str) -> KeySet | None:
        entry = self._find(tenant)
        if entry is None:
            return None
        # Without a lock: a lost count or mark does no harm, and an entry never changes its keys.
        entry.recent = True
        entry.uses += 1
        return entry.keys if entry.uses < entry.look_at_uses and self._clock() < entry.look_at else None

    def _wait(self, flight: Flight) -> KeySet | Trouble | None:
        try:
            return flight.future.result(self._patience_seconds(flight))
        except TimeoutError:
            return flight.landed

    async def _wait_in_loop(self, flight: Flight) -> KeySet | Trouble | None:
        await asyncio.wait([asyncio.wrap_future(flight.future)], timeout=self._patience_seconds(flight))
        return flight.landed

    def _patience_seconds(self, flight: Flight) -> float:
        # From its beginning: where a load hangs, only the first to come wait long for it.
        return max(flight.begun_at + self._policy.load_seconds - self._clock(), 0.0)


_all: weakref.WeakSet[Refresher] = weakref.WeakSet()


def _begin_anew() -> None:
    for refresher in list(_all):
        refresher.begin_anew()


os.register_at_fork(after_in_child=_begin_anew)
