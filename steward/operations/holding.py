"""Holding an operation: heartbeats renew its lease, and the holder knows until when it may believe itself."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from steward.clients.postgres import DatabaseUnavailable
from steward.operations.claims import Operation, check
from steward.operations.errors import NoOperation, Superseded
from steward.operations.ledger import Ledger

#: A process that lost its operation and has not ended by then is stuck in a call, and ends itself.
END_AFTER_SECONDS = 20.0
#: EX_TEMPFAIL: whoever started the process may start another.
EXIT_CODE = 75


class Heartbeat(threading.Thread):
    """Renews the lease on a connection of its own: a step that waits for the database must not cost the lease."""

    def __init__(self, ledger: Ledger, operation: Operation) -> None:
        super().__init__(name=f"lease-{operation.token}", daemon=True)
        # A patience of nothing: an absent database is asked again at the next beat, not beside it.
        self._ledger = Ledger(ledger.settings, patience_seconds=0)
        self._operation = operation
        self._stopped = threading.Event()
        #: The operation has been given up here: no thread of this process may act for it any more.
        self.given_up = False
        self.safe_until = time.monotonic() + operation.lease_seconds

    def run(self) -> None:
        """Beat until stopped; after losing the operation, end a process that does not end by itself."""
        while not self._stopped.wait(self._ledger.settings.operations.heartbeat_seconds):
            # Counted from before the question, so never longer than the database counts.
            sent = time.monotonic()
            try:
                renewed = self._ledger.query(_RENEW, **self._operation.keys)
            except DatabaseUnavailable:
                # Nobody else can claim either. Steps wait, and the token decides when it is back.
                continue
            if not renewed:
                self.safe_until = 0.0
                self._end_if_stuck()
                break
            self.safe_until = sent + self._operation.lease_seconds
        self._ledger.close()

    def give_up(self) -> None:
        """No further beat, and `guard` refuses: before the lease is released, since a step may be at work in a thread."""
        self.given_up = True
        self.stop()

    def stop(self) -> None:
        """No further beat; the one under way may still land, and a released lease refuses it."""
        self._stopped.set()

    def _end_if_stuck(self) -> None:
        # The flow ends by itself at its next step. One that hangs in a call to a server does not, and that call could
        # still do harm when it wakes.
        if not self._stopped.wait(END_AFTER_SECONDS):
            os._exit(EXIT_CODE)


@dataclass(frozen=True)
class Holding:
    """What a step finds around it."""

    ledger: Ledger
    operation: Operation
    heartbeat: Heartbeat


_current: ContextVar[Holding] = ContextVar("holding")


def current() -> Holding:
    """What this flow or step runs under. Raises NoOperation."""
    try:
        return _current.get()
    except LookupError:
        raise NoOperation(
            "a step was called outside of any operation", hint="put @durable under @flow, and call steps from the flow"
        ) from None


@contextmanager
def holding(ledger: Ledger, operation: Operation) -> Generator[Holding]:
    """Keep the lease while the block runs, and make the operation `current`. Giving it up is the caller's affair."""
    heartbeat = Heartbeat(ledger, operation)
    held = Holding(ledger, operation, heartbeat)
    heartbeat.start()
    token = _current.set(held)
    try:
        yield held
    finally:
        heartbeat.give_up()
        _current.reset(token)


def guard() -> None:
    """Refuse a late call: as late as can be before a request that changes something on another server.

    Costs microseconds while the lease is young, and one query when it is not: after a freeze the local clock has moved
    on, so that a woken holder asks, and is refused. A call that has already left may still land. Raises Superseded.
    """
    held = current()
    if held.heartbeat.given_up:
        raise Superseded(
            f"{held.operation} has been given up by this process; a thread of it that is still at work does nothing more",
            hint="nothing to do: the next attempt goes on at this step",
        )
    if time.monotonic() > held.heartbeat.safe_until:
        check(held.ledger, held.operation)


_RENEW = """
UPDATE steward.operations SET lease_until = clock_timestamp() + lease
 WHERE id = %(id)s AND token = %(token)s AND state = 'running' RETURNING 1 AS renewed
"""
