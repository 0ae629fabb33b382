"""Loads in the queue or under way, one a tenant, shared by all who wait for it. Whoever calls holds the cache's lock."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from steward.fieldcrypt.cache.loaders import Loaders
from steward.fieldcrypt.cache.troubles import Trouble
from steward.fieldcrypt.keyset import KeySet

#: What each thread that loads for nobody yet may take of a processor. While 200 tenants' new keys were taken up by eight
#: threads that did not rest, requests of the same process had a 99th percentile of 125 ms; with two that do, 23.
BACKGROUND_SHARE = 1 / 8


class Flight:
    """One load. What it brings is a value, never an exception: threads would share it, and add to its traceback."""

    __slots__ = ("again", "begun_at", "future", "taken", "tenant", "urgent")

    def __init__(self, tenant: str, now: float, *, urgent: bool) -> None:
        self.tenant, self.begun_at = tenant, now
        self.urgent = urgent
        """Somebody waits for it."""
        self.taken = False
        """A thread has it."""
        self.again = False
        """Somebody must know what the keyring says after a moment that was: it loads once more before it lands."""
        self.future: Future[KeySet | Trouble] = Future()

    @property
    def landed(self) -> KeySet | Trouble | None:
        """What it brought; None while it flies."""
        return self.future.result() if self.future.done() else None

    def ask_again(self) -> None:
        """Let it bring what the keyring says after this moment."""
        self.again = self.taken


class Flights:
    """All of them."""

    def __init__(self, most: int, most_in_background: int, fly: Callable[[Flight], None]) -> None:
        self._fly = fly
        self._loaders = Loaders(most)
        self._background = Loaders(most_in_background, share=BACKGROUND_SHARE)
        self._by_tenant: dict[str, Flight] = {}
        self.paused_since = self.paused_until = float("-inf")

    def get(self, tenant: str) -> Flight | None:
        return self._by_tenant.get(tenant)

    def begin(self, tenant: str, now: float, *, urgent: bool) -> Flight:
        flight = Flight(tenant, now, urgent=urgent)
        (self._loaders if urgent else self._background).submit(partial(self._fly, flight))
        self._by_tenant[tenant] = flight
        return flight

    def begin_idle(self, tenant: str, now: float) -> Flight | None:
        """One that nobody waits for; None during a pause."""
        return None if now < self.paused_until else self.begin(tenant, now, urgent=False)

    def join(self, flight: Flight) -> Flight:
        """Somebody waits for it from now on."""
        if not flight.urgent:
            flight.urgent = True
            # A second time, where it need not wait for others: the first thread to come takes it.
            self._loaders.submit(partial(self._fly, flight))
        return flight

    def pause(self, now: float, until: float) -> None:
        """A server asked for it: what nobody waits for stays on the ground."""
        if now >= self.paused_until:
            self.paused_since = now
        self.paused_until = max(self.paused_until, until)

    def trying_since(self, flight: Flight | None, now: float) -> float | None:
        """Since when *flight* is on its way, or may not be."""
        if flight is not None:
            return flight.begun_at
        return self.paused_since if now < self.paused_until else None

    def takes_off(self, flight: Flight, now: float) -> bool:
        """Whether the thread that asks is to load it."""
        if flight.taken or not self.is_known(flight):
            return False
        flight.taken = flight.urgent or now >= self.paused_until
        if not flight.taken:
            # A use after the pause begins it anew.
            del self._by_tenant[flight.tenant]
        return flight.taken

    def is_known(self, flight: Flight) -> bool:
        return self._by_tenant.get(flight.tenant) is flight

    def land(self, flight: Flight) -> None:
        del self._by_tenant[flight.tenant]

    def ask_again(self) -> None:
        """Let every one bring what the keyring says after this moment."""
        for flight in self._by_tenant.values():
            flight.ask_again()

    def close(self) -> list[Flight]:
        """Those that will not land any more."""
        flights, self._by_tenant = list(self._by_tenant.values()), {}
        self._loaders.close()
        self._background.close()
        return flights

    def __len__(self) -> int:
        return len(self._by_tenant)
