"""The dead man's switch, told: it needs neither database nor Prefect, and no thread that could hang in a call to them."""

from __future__ import annotations

from services.watch.journal import Reminder, say
from services.watch.situation import Situation
from steward.operations.alarms import assess

_REMIND_SECONDS = 24 * 3600.0


class Switch:
    """Says what is overdue by what was last read of the ledger: when that changes, and daily."""

    def __init__(self, situation: Situation) -> None:
        self._at = situation
        self._reminder = Reminder(_REMIND_SECONDS)

    def tell(self) -> None:
        """To be called each second."""
        now = self._at.now
        for watched in self._at.watched:
            named, assessed = str(watched.expectation), assess(watched, now)
            if assessed.is_overdue and self._reminder.is_news(named, f"day {assessed.day}"):
                say("OVERDUE", operation=named, reason=assessed.told)
            elif not assessed.is_overdue and self._reminder.forget(named):
                say("recovered", operation=named, reason=assessed.told)
