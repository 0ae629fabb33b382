"""The users: threads that take the next request, wait until it is due, make it, and say what became of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from random import Random
from threading import Event

from demo.customers.traffic.arrivals import Arrival, Arrivals
from demo.customers.traffic.asking import Asking, Failed, Refused
from demo.customers.traffic.known import Known, Rows
from demo.customers.traffic.measures import Measures
from demo.customers.values import drawn
from demo.customers.writelog import WriteLog

#: The least time between a request that failed and the same user's next: a server that is down is not asked in a loop.
_PAUSE_SECONDS = 0.1


class Wrong(Failed):
    """An answer that cannot be true."""


@dataclass(frozen=True)
class Driver:
    """What all users share."""

    rows: Rows
    log: WriteLog
    measures: Measures
    stop: Event
    seed: int

    def drive(self, users: Sequence[Asking], arrivals: Arrivals) -> None:
        """Until the last arrival, or until it is stopped; every request that was sent has been answered then."""
        with ThreadPoolExecutor(len(users), "user") as pool:
            for done in [pool.submit(self._be, user, number, arrivals) for number, user in enumerate(users)]:
                done.result()

    def warm(self, users: Sequence[Asking]) -> None:
        """Look at one customer of each tenant and search for it: an application that has served for a while is measured."""
        rows = self.rows.one_of_each()
        with ThreadPoolExecutor(len(users), "user") as pool:
            list(pool.map(self._look, users, (rows[number :: len(users)] for number in range(len(users)))))

    def _look(self, user: Asking, rows: Sequence[Known]) -> None:
        for row in rows:
            if not self.stop.is_set():
                # What goes wrong goes wrong again when it is counted.
                with contextlib.suppress(Failed):
                    user.search(row.tenant, user.read(row.tenant, row.id).email)

    def _be(self, user: Asking, number: int, arrivals: Arrivals) -> None:
        chance = Random(f"user {self.seed} {number}")
        with closing(user):
            while arrival := arrivals.next():
                if self.stop.wait(max(0.0, arrival.due - time.monotonic())):
                    return
                failed = self._ask(user, arrival, chance)
                self.measures.append(arrival.kind, arrival.due, failed)
                if failed:
                    self.stop.wait(_PAUSE_SECONDS)

    def _ask(self, user: Asking, arrival: Arrival, chance: Random) -> str | None:
        ways: dict[str, Callable[[Asking, Random], None]] = {
            "read": self._read,
            "search": self._search,
            "update": self._update,
            "create": self._create,
        }
        try:
            ways[arrival.kind](user, chance)
        except Failed as failed:
            return str(failed)
        return None

    def _read(self, user: Asking, chance: Random) -> None:
        row = self.rows.any(chance)
        if row is None:
            return self._create(user, chance)
        before, told, busy = row.changes, row.told, row.busy
        values = user.read(row.tenant, row.id)
        if told is not None and not busy and row.changes == before and values != told:
            raise Wrong("a read gave other values than those acknowledged last")
        return self.rows.learn(row, values, before)

    def _search(self, user: Asking, chance: Random) -> None:
        row = self.rows.searchable(chance)
        if row is None or row.told is None:
            tenant = self.rows.tenant(chance)
            user.search(tenant, drawn(chance, tenant).email)
            return
        before, told, busy = row.changes, row.told, row.busy
        found = user.search(row.tenant, told.email)
        if not busy and row.changes == before and row.id not in found:
            raise Wrong("a search did not find a row that has the address")

    def _update(self, user: Asking, chance: Random) -> None:
        row = self.rows.take(chance)
        if row is None:
            return self._create(user, chance)
        values = drawn(chance, row.tenant)
        write = self.log.sent("update", row.tenant, row.id, values.digest())
        try:
            answer = user.update(row.tenant, row.id, values)
        except Refused:
            self.log.answered(write, "refused")
            self.rows.give_back(row, None)
            raise
        # Where no answer came it stays busy for good: what became of it is told by the database alone.
        self.log.answered(write, "acknowledged")
        self.rows.give_back(row, values)
        if answer != values:
            raise Wrong("a change gave other values than those sent")
        return None

    def _create(self, user: Asking, chance: Random) -> None:
        tenant = self.rows.tenant(chance)
        values = drawn(chance, tenant)
        write = self.log.sent("create", tenant, None, values.digest())
        try:
            row, answer = user.create(tenant, values)
        except Refused:
            self.log.answered(write, "refused")
            raise
        self.log.answered(write, "acknowledged", row)
        self.rows.add(Known(row, tenant, values))
        if answer != values:
            raise Wrong("a creation gave other values than those sent")
