"""The watch's loop over what was stated of costs: read once a minute, for the metrics."""

from __future__ import annotations

import time

from services.watch.journal import Reminder, say
from services.watch.situation import Situation
from steward.clients.cost_standing import read_costs_stand
from steward.clients.postgres import connect
from steward.errors import StewardError

EVERY_SECONDS = 60.0
_REMIND_SECONDS = 24 * 3600.0


class Costs:
    """It writes nothing: two of them side by side see the same."""

    def __init__(self, situation: Situation) -> None:
        self._at = situation
        self._settings = situation.ledger.settings
        self._reminder = Reminder(_REMIND_SECONDS)

    def run(self) -> None:
        """Round after round until the watch is told to stop; at once over where the settings tell of no costs."""
        while self._settings.costs and not self._at.stopped.is_set():
            self.round()
            self._at.stopped.wait(EVERY_SECONDS)

    def round(self) -> None:
        """What could not be read is not known any more."""
        try:
            with connect(self._settings) as db:
                self._at.costs = read_costs_stand(db)
            self._reminder.forget("costs")
        except Exception as error:  # noqa: BLE001  a fault in one round must not end the watch
            self._at.costs = None
            told = error.message if isinstance(error, StewardError) else f"{type(error).__name__}: {error}"
            if self._reminder.is_news("costs", type(error).__name__):
                say("costs are not known", reason=told)
        self._at.rounds["costs"] = time.monotonic()
