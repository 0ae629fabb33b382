"""The watch's loop over the ledger alone: its clock, what was missed, the dead man's switch, the figures.

It asks nothing of Prefect, so all of this goes on while Prefect is away.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from services.watch.journal import Reminder, say
from services.watch.situation import Every, Situation
from steward.errors import StewardError, is_transient
from steward.operations.abandoned import read_clock, shorten_leases
from steward.operations.alarms import Watched, assess, last_verified, record_alarm
from steward.operations.expectations import Expectation, Known, plan_missed
from steward.operations.schedule import enter_missed, expected_since, known_periods
from steward.operations.tallies import tally

BEAT_SECONDS = 1.0
#: Half a lease of silence counts as lost contact, so a short lease wants a faster beat.
_BEATS_IN_A_LEASE = 6
_EXPECT_EVERY_SECONDS = 5.0
_TALLY_EVERY_SECONDS = 5.0
_REMIND_SECONDS = 24 * 3600.0


class Bookkeeping:
    """One loop; a round never waits for Prefect, and for the database no longer than a connection may take."""

    def __init__(self, situation: Situation) -> None:
        self._at = situation
        self._reminder = Reminder(_REMIND_SECONDS)
        self._expect, self._tally = Every(_EXPECT_EVERY_SECONDS), Every(_TALLY_EVERY_SECONDS)

    def run(self) -> None:
        """Round after round until the watch is told to stop."""
        while not self._at.stopped.is_set():
            began = time.monotonic()
            self.round()
            beat = min(BEAT_SECONDS, self._at.lease_seconds / _BEATS_IN_A_LEASE)
            self._at.stopped.wait(max(0.0, beat - (time.monotonic() - began)))

    def round(self) -> None:
        """Everything once that is due; a database that is away is said once."""
        try:
            self._read()
        except StewardError as error:
            self._lost(error)
        except Exception as error:  # noqa: BLE001  a fault in one round must not end the watch
            self._lost(error)
        self._at.rounds["ledger"] = time.monotonic()

    def _read(self) -> None:
        sent = time.monotonic()
        clock = read_clock(self._at.ledger)
        self._heard(sent, clock.seconds, clock.lease_seconds)
        for named in shorten_leases(self._at.ledger):
            say(
                "lease shortened", operation=named, because="it ended later than any heartbeat by this clock can set it"
            )
        now = datetime.fromtimestamp(clock.seconds, UTC)
        if self._expect:
            self._at.watched = [self._look(expectation, now) for expectation in self._at.expectations]
        if self._tally:
            self._at.tallies = tally(self._at.ledger)
        if self._at.database:
            say("database answers")
            self._at.database = ""
            self._reminder.forget("database")

    def _heard(self, sent: float, database_seconds: float, lease_seconds: float) -> None:
        contact = self._at.contact
        before = contact.settling_since
        contact.hear(sent, time.monotonic(), database_seconds, lease_seconds)
        self._at.lease_seconds = lease_seconds
        if contact.settling_since != before:
            say("settling", seconds=f"{lease_seconds:g}", because=contact.why)

    def _look(self, expectation: Expectation, now: datetime) -> Watched:
        ledger = self._at.ledger
        since = expected_since(ledger, expectation)
        ticks = expectation.ticks(since, now)
        known = known_periods(ledger, expectation, ticks)
        for tick, state in plan_missed(expectation, ticks, known, now).items():
            if enter_missed(ledger, expectation, tick, state):
                policy = expectation.catch_up.value
                say("missed", operation=expectation, period=expectation.period_of(tick), state=state, policy=policy)
        self._late(expectation, ticks, known)
        watched = Watched(expectation, since, last_verified(ledger, expectation))
        self._record(watched, now)
        return watched

    def _late(self, expectation: Expectation, ticks: list[datetime], known: dict[str, Known]) -> None:
        for tick in reversed(ticks):
            row = known.get(expectation.period_of(tick))
            if row and row.began_at:
                seconds = (row.began_at - tick).total_seconds()
                self._at.lateness[expectation.name, expectation.subject] = seconds
                return

    def _record(self, watched: Watched, now: datetime) -> None:
        if watched.expectation.verified_within_hours is not None:
            record_alarm(self._at.ledger, watched, assess(watched, now))

    def _lost(self, error: Exception) -> None:
        hint = error.hint if isinstance(error, StewardError) else ""
        told = error.message if isinstance(error, StewardError) else f"{type(error).__name__}: {error}"
        self._at.contact.lose(told)
        self._at.database = told
        self._at.tallies = None
        # Text that varies from try to try is one fact: the kind of error tells them apart.
        if self._reminder.is_news("database", type(error).__name__):
            say("database away" if is_transient(error) else "database unusable", reason=told, hint=hint or None)
