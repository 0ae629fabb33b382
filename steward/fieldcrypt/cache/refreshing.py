"""Which keys may be used now, and when they are loaded anew: decides under one lock, loads without it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from steward.fieldcrypt.cache.entries import Entry
from steward.fieldcrypt.cache.flights import Flight, Flights
from steward.fieldcrypt.cache.loading import Loaded, Witness, load
from steward.fieldcrypt.cache.memory import KeyMemory
from steward.fieldcrypt.cache.reports import Reports
from steward.fieldcrypt.cache.status import Status, status
from steward.fieldcrypt.cache.troubles import Trouble
from steward.fieldcrypt.cachepolicy import CachePolicy
from steward.fieldcrypt.errors import KeysNotInstalled
from steward.fieldcrypt.keyring import Keyring, KeyVault
from steward.fieldcrypt.keyset import KeySet


class Refresher:
    """What TenantKeys asks where a look into memory does not settle it. The lock is held for microseconds only."""

    def __init__(self, keyring: Keyring, vault: KeyVault, policy: CachePolicy, clock: Callable[[], float]) -> None:
        self._keyring, self._policy, self._clock = keyring, policy, clock
        self._vault = Witness(vault, policy.vouch_seconds, clock)
        self._memory = KeyMemory(policy)
        self.find = self._memory.entries.get
        self._log = Reports()
        self._closed = False
        self.begin_anew()

    def begin_anew(self) -> None:
        """In the child of a fork too: it has the keys, and neither the threads nor whoever held the lock."""
        self._lock = threading.Lock()
        self._flights = Flights(self._policy.most_loads, self._policy.most_background_loads, self._fly)
        for entry in self._memory.entries.values():
            entry.look_at = self._clock()

    def answer(self, tenant: str) -> KeySet | Flight:
        """Keys that may be used now, or the load to wait for. A load in the background begins where one is due."""
        with self._lock:
            now = self._clock()
            entry, flight = self.find(tenant), self._flights.get(tenant)
            if entry is not None:
                if flight is None and entry.is_due(now):
                    flight = self._flights.begin_idle(tenant, now)
                if self._serves(entry, flight, now):
                    return entry.keys
                if entry.is_spent(now):
                    self._memory.forget(tenant, entry)
            return self._join_or_begin(tenant, flight, now)

    def seek(self, known: KeySet, key_id: int) -> KeySet | Flight:
        """The newest keys, or a load that began after this call and may bring *key_id*."""
        with self._lock:
            now = self._clock()
            entry, flight = self.find(known.tenant), self._flights.get(known.tenant)
            if entry is None or key_id <= entry.keys.newest_id:
                return entry.keys if entry else known
            if entry.trouble is not None and now < entry.trouble.again_at:
                raise entry.trouble.error(now)
            if now < entry.sought_at + self._policy.seek_seconds:
                return entry.keys
            entry.sought_at = now
            if flight is not None:
                flight.ask_again()
            return self._join_or_begin(known.tenant, flight, now)

    def settled(self, flight: Flight, outcome: KeySet | Trouble | None) -> KeySet:
        """What the load brought; where it failed, or takes too long (None), keys that may serve nevertheless."""
        if isinstance(outcome, KeySet):
            return outcome
        with self._lock:
            now = self._clock()
            entry, flying = self.find(flight.tenant), self._flights.get(flight.tenant)
            trouble = outcome or self._memory.slow(
                flight.tenant, entry if flying is flight else None, flight.begun_at, now
            )
            if entry is not None and self._serves(entry, flying, now):
                return entry.keys
        raise trouble.error(now)

    def found(self, flight: Flight, outcome: KeySet | Trouble | None) -> KeySet:
        """What the load brought, and nothing else: without it nobody knows whose an unknown key id is."""
        if isinstance(outcome, KeySet):
            return outcome
        now = self._clock()
        raise (outcome or self._memory.slow(flight.tenant, None, flight.begun_at, now)).error(now)

    def catch_up(self, epoch: int, changed: Mapping[str, int] | None) -> bool:
        """As TenantKeys.catch_up."""
        with self._lock:
            self._refuse_older(epoch)
            now = self._clock()
            for tenant, entry in self._memory.behind(epoch, changed):
                self._chase(tenant, entry, now)
            return self._memory.seen_epoch() >= epoch

    def seen_epoch(self) -> int:
        """As TenantKeys.seen_epoch."""
        with self._lock:
            epoch = self._memory.seen_epoch()
            self._refuse_older(epoch)
            return epoch

    def status(self) -> Status:
        """As TenantKeys.status."""
        with self._lock:
            return status(self._memory, len(self._flights), self._clock())

    def close(self) -> None:
        """As TenantKeys.close."""
        with self._lock:
            self._closed = True
            self._memory.entries.clear()
            for flight in self._flights.close():
                flight.future.set_result(self._memory.fail(flight.tenant, _closed(), self._clock()))

    def _refuse_older(self, epoch: int) -> None:
        """(locked, as the next four) Take in nothing from before *epoch* any more."""
        if epoch > self._memory.least_epoch:
            self._memory.least_epoch = epoch
            # A load that has read the keyring already may bring what was true before.
            self._flights.ask_again()

    def _serves(self, entry: Entry, flight: Flight | None, now: float) -> bool:
        """Whether the keys may be used now, and until when they may without another look."""
        serves = entry.serves(now, self._flights.trying_since(flight, now))
        if serves:
            entry.look_again(now, flying=flight is not None, not_before=self._flights.paused_until)
        else:
            entry.look_at = now
        return serves

    def _join_or_begin(self, tenant: str, flight: Flight | None, now: float) -> Flight:
        if self._closed:
            raise _closed()
        if flight is not None:
            return self._flights.join(flight)
        trouble = self._memory.trouble(tenant, now)
        if trouble is not None:
            raise trouble.error(now)
        return self._flights.begin(tenant, now, urgent=True)

    def _chase(self, tenant: str, entry: Entry, now: float) -> None:
        flight = self._flights.get(tenant)
        if not self._serves(entry, flight, now):
            self._memory.forget(tenant, entry)
        elif flight is None and now >= entry.not_before:
            self._flights.begin_idle(tenant, now)

    def _accept(self, flight: Flight, outcome: Loaded | Exception, now: float) -> KeySet | Trouble:
        self._flights.land(flight)
        if isinstance(outcome, Loaded):
            landed = self._memory.keep(outcome, now)
        else:
            landed = self._memory.fail(flight.tenant, outcome, now)
        if isinstance(landed, Trouble) and landed.wished_seconds:
            self._flights.pause(now, landed.again_at)
        entry = self.find(flight.tenant)
        if entry is not None:
            self._serves(entry, None, now)
        return landed

    def _fly(self, flight: Flight) -> None:
        """In a thread of the loaders."""
        if not self._takes_off(flight):
            return
        while not self._lands(flight, self._load(flight.tenant)):
            pass

    def _takes_off(self, flight: Flight) -> bool:
        with self._lock:
            now, entry = self._clock(), self.find(flight.tenant)
            takes_off = self._flights.takes_off(flight, now)
            if not takes_off and entry is not None:
                # It counted on this load until its TTL ends.
                entry.look_at = now
            return takes_off

    def _load(self, tenant: str) -> Loaded | Exception:
        entry = self.find(tenant)
        try:
            return load(self._keyring, self._vault, tenant, entry.keys if entry else None)
        except Exception as error:  # noqa: BLE001 - whoever waits is told of it, whatever it is
            return error

    def _lands(self, flight: Flight, outcome: Loaded | Exception) -> bool:
        """Take in what a load brought or met; False where it has to load again."""
        with self._lock:
            now = self._clock()
            if flight.again:
                flight.again = False
                return False
            if not self._flights.is_known(flight):
                # Closed meanwhile: whoever waited has been told.
                return True
            landed = self._accept(flight, outcome, now)
            flight.future.set_result(landed)
        self._log.landed(landed, outcome, now)
        return True


def _closed() -> KeysNotInstalled:
    return KeysNotInstalled("these tenant keys are closed", hint="close them at the very end of the process")
