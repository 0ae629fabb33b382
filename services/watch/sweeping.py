"""The watch's loop over the ledger of AI attempts: what dead workers left open is settled, old probes are deleted."""

from __future__ import annotations

import time

from services.watch.journal import Reminder, say
from services.watch.situation import Every, Situation
from steward.clients.ai_probes import forget_probes, has_more_to_forget
from steward.clients.attempts_sweeping import resolve_unknown
from steward.clients.postgres import connect
from steward.errors import StewardError

EVERY_SECONDS = 60.0
_FORGET_EVERY_SECONDS = 3600.0
_REMIND_SECONDS = 24 * 3600.0


class Sweeping:
    """Two of them side by side do no harm: rows are locked, and a second sweep finds nothing."""

    def __init__(self, situation: Situation) -> None:
        self._at = situation
        self._settings = situation.ledger.settings
        self._reminder = Reminder(_REMIND_SECONDS)
        self._forget = Every(_FORGET_EVERY_SECONDS)

    def run(self) -> None:
        """Round after round until the watch is told to stop."""
        while not self._at.stopped.is_set():
            self.round()
            self._at.stopped.wait(EVERY_SECONDS)

    def round(self) -> None:
        """Both, where it is time; what is not settled in this round is in the next."""
        try:
            # After an outage of the database workers renew their leases first, as holders of operations do.
            if self._at.is_settled:
                self._sweep()
            if self._forget:
                self._forget_probes()
            self._reminder.forget("sweep")
        except Exception as error:  # noqa: BLE001  a fault in one round must not end the watch
            told = error.message if isinstance(error, StewardError) else f"{type(error).__name__}: {error}"
            if self._reminder.is_news("sweep", type(error).__name__):
                say("sweeping waits", reason=told)
        self._at.rounds["attempts"] = time.monotonic()

    def _sweep(self) -> None:
        swept = resolve_unknown(self._settings)
        if swept.unknown or swept.aborted:
            self._at.acts["swept"] += swept.unknown + swept.aborted
            say("swept", unknown=swept.unknown, aborted=swept.aborted, because="nobody settles these attempts any more")

    def _forget_probes(self) -> None:
        while not self._at.stopped.is_set():
            with connect(self._settings) as db:
                forgotten = forget_probes(db)
            if not has_more_to_forget(forgotten):
                return
