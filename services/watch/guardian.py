"""The guardian of rollouts: where nobody is left to decide, it decides, and it knows nothing of Prefect.

Users whose exposure's lease is over are back already, told so by the flag itself. The guardian writes that down, kills the
flag for good and gives the traffic back; and it finishes what somebody else began to take back and did not end: a rollout, or
a release whose rollout had ended. Last, and as often as it takes, it asks for another run where the one that was to state and
tell a rollout's end was cancelled or given up.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import psycopg

from services.watch.journal import Reminder, say
from services.watch.situation import Every, Situation
from steward.clients.flag_outcomes import forget_ended
from steward.clients.postgres import Connection, open_connection, worded
from steward.clients.roll_backs import left_undone
from steward.clients.rollouts import to_withdraw
from steward.clients.rollouts_return import finish
from steward.clients.rollouts_telling import tell_of_return
from steward.clients.rollouts_unstated import ASKED_BY, Unstated, unstated
from steward.clients.rollouts_withdrawal import withdraw
from steward.errors import BadInput, StewardError
from steward.operations.decisions import reopen
from steward.rollout.record import GUARDIAN, Rollout
from steward.rollout.returning import RollBack
from steward.rollout.state import State

#: Beyond the lease, so much later at most the withdrawal begins.
EVERY_SECONDS = 1.0
#: So long whoever began a way back is left to end it. Both at once would do no harm, and a release be asked for twice.
_LEFT_SECONDS = 10.0
#: After a try that failed, for each may start a release that does not come up.
_REST_SECONDS = 10.0
_REMIND_SECONDS = 3600.0
#: A run that is to state an end takes some seconds to begin.
_UNSTATED_SECONDS = 5.0
#: Who met what is kept by single users for as long as somebody may still count; their numbers stay for good.
_FORGET_SECONDS, _FORGET_AFTER_DAYS = 3600.0, 1.0
#: In one round; some tens of milliseconds. What is left is the next round's, so that no lease waits for a long delete.
_FORGET_AT_MOST = 10_000


class Guardian:
    """Two of them side by side do no harm: each part of a withdrawal may be done twice."""

    def __init__(self, situation: Situation) -> None:
        self._at = situation
        self._settings = situation.ledger.settings
        self._reminder = Reminder(_REMIND_SECONDS)
        self._db: Connection | None = None
        self._returning: threading.Thread | None = None
        self._rest_until = 0.0
        self._forgets, self._asks = Every(_FORGET_SECONDS), Every(_UNSTATED_SECONDS)

    def run(self) -> None:
        """Round after round until the watch is told to stop; at once over where the settings tell of no load balancer."""
        while self._settings.balancers and not self._at.stopped.is_set():
            self.round()
            self._at.stopped.wait(EVERY_SECONDS)

    def round(self) -> None:
        """All that are to be withdrawn; one that cannot be is tried again, and keeps no other."""
        due, undone = list[Rollout](), list[RollBack]()
        try:
            due, undone = self._due()
            self._reminder.forget("rollouts")
        except Exception as error:  # noqa: BLE001  a fault in one round must not end the watch
            self._close()
            self._remind("rollouts", "rollouts are not known", error)
        for rollout in due:
            self._withdraw(rollout)
        if undone:
            self._return_beside(undone)
        if self._asks:
            self._ask()
        if self._forgets:
            self._forget()
        self._at.rounds["rollouts"] = time.monotonic()

    def _due(self) -> tuple[list[Rollout], list[RollBack]]:
        if self._db is None:
            self._db = open_connection(self._settings, autocommit=True, application_name="steward-guardian")
        with worded(self._settings):
            return to_withdraw(self._db), left_undone(self._db, _LEFT_SECONDS)

    def _withdraw(self, rollout: Rollout) -> None:
        why = _why(rollout)
        try:
            withdraw(self._settings, rollout.id, GUARDIAN, why)
        except Exception as error:  # noqa: BLE001  as above
            self._remind(f"rollout {rollout.id}", f"{rollout} is not back yet", error)
            return
        self._reminder.forget(f"rollout {rollout.id}")
        self._at.acts["withdrawn"] += 1
        say("withdrawn", rollout=rollout.id, release=rollout.release, environment=rollout.environment, because=why)

    def _return_beside(self, undone: list[RollBack]) -> None:
        """In a thread: a release that has to be started first takes a minute, and leases go on ending."""
        if (self._returning and self._returning.is_alive()) or time.monotonic() < self._rest_until:
            return
        self._returning = threading.Thread(target=self._return, args=(undone,), name="returning", daemon=True)
        self._returning.start()

    def _return(self, undone: list[RollBack]) -> None:
        for begun in undone:
            try:
                returned = finish(self._settings, begun)
            except Exception as error:  # noqa: BLE001  as above
                self._remind(f"roll back {begun.id}", f"{begun} is not done yet", error)
                self._rest_until = time.monotonic() + _REST_SECONDS
                continue
            self._reminder.forget(f"roll back {begun.id}")
            if returned.ended_here:
                self._at.acts["returned"] += 1
                say("returned", roll_back=begun.id, release=begun.to_release, environment=begun.environment)
                tell_of_return(self._settings, returned)

    def _ask(self) -> None:
        """For the attempt that finds a rollout ended, says so in evidence, and tells whoever is to be told."""
        if self._db is None:
            return
        try:
            with worded(self._settings):
                found = unstated(self._db)
            for each in found:
                self._reopen(each)
            self._reminder.forget("unstated")
        except Exception as error:  # noqa: BLE001  as above
            self._close()
            self._remind("unstated", "ends that nobody stated are not asked for", error)

    def _reopen(self, ended: Unstated) -> None:
        try:
            reopen(
                self._at.ledger, ended.operation, anew=False, why=f"nobody has stated it: {ended.told}", who=ASKED_BY
            )
        except BadInput:
            # A person, or another watch, was faster.
            return
        self._at.acts["asked"] += 1
        say("asked", rollout=ended.rollout, operation=ended.operation, because=f"nobody has stated it: {ended.told}")

    def _forget(self) -> None:
        """After all else: users whose lease is over do not wait for a delete."""
        if self._db is None:
            return
        try:
            with worded(self._settings):
                users = forget_ended(self._db, _FORGET_AFTER_DAYS, _FORGET_AT_MOST)
        except Exception as error:  # noqa: BLE001  as above
            self._close()
            self._remind("forgotten", "users of ended rollouts are not forgotten", error)
            return
        self._reminder.forget("forgotten")
        if users == _FORGET_AT_MOST:
            self._forgets.come_now()
        if users:
            say("forgotten", users=users, because="their rollouts have ended")

    def _remind(self, subject: str, event: str, error: Exception) -> None:
        told = error.message if isinstance(error, StewardError) else f"{type(error).__name__}: {error}"
        if self._reminder.is_news(subject, told):
            say(event, reason=told)

    def _close(self) -> None:
        if self._db is not None:
            with suppress(psycopg.Error):
                self._db.close()
            self._db = None


def _why(rollout: Rollout) -> str:
    if rollout.state is State.WITHDRAWING:
        return f"{rollout.who} had begun to: {rollout.why}"
    return f"the lease was over at {rollout.lease_until:%H:%M:%S %Z}, and nobody had renewed it"
