"""The thread that writes outcomes, in batches, until they are written: whatever the database does meanwhile."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Self

from steward.flags.application.exposures import Outcome
from steward.flags.application.outcomes import Outcomes
from steward.flags.application.store import OutcomesRefused, Store, StoreAway, Total

#: Half of what `flags.record` takes at most.
_BATCH = 5_000
_LONGEST_WAIT_SECONDS = 2.0

_log = logging.getLogger("steward.flags")


class Writer:
    """Writes what is noted every *interval_seconds*, or nothing, which tells that it lives. Use it in `with`.

    Leaving, it writes what is left, for up to *leaving_seconds*. What a killed process had noted and not written is lost:
    the user's next request notes it again, in whatever process.
    """

    def __init__(
        self,
        outcomes: Outcomes,
        store: Store,
        *,
        interval_seconds: float = 0.5,
        leaving_seconds: float = 3.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._outcomes, self._store, self._clock = outcomes, store, clock
        self._interval_seconds, self._leaving_seconds = interval_seconds, leaving_seconds
        self._batch: list[Outcome] = []
        self._totals: list[Total] = []
        self._recorded_at = 0.0
        self._fault = ""
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._run, name="steward-flags-writer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        self._thread.join(self._leaving_seconds)

    @property
    def recorded_at(self) -> float:
        """All that was noted up to then (Unix seconds) is in the database; 0: nothing ever was."""
        return self._recorded_at

    @property
    def totals(self) -> list[Total]:
        """Of all processes, as the database told last, in the steps that this process has met lately."""
        return self._totals

    def write(self) -> None:
        """All that waits, and learn the totals. Raises StoreAway."""
        while True:
            began, left_over = self._clock(), bool(self._batch)
            if not left_over:
                self._batch = self._outcomes.take(_BATCH)
            more = left_over or len(self._batch) == _BATCH
            self._record()
            if not more:
                break
        self._totals = self._store.totals(self._outcomes.steps)
        self._recorded_at = began

    def _record(self) -> None:
        """The batch. Only what was written or refused for ever is let go."""
        try:
            self._store.record(self._batch)
        except OutcomesRefused as refused:
            self._outcomes.drop(len(self._batch))
            _log.error("the database refused %d outcomes for ever: %s", len(self._batch), refused)
        else:
            self._outcomes.settle(len(self._batch))
        self._batch = []

    def _run(self) -> None:
        wait = self._interval_seconds
        while not self._leaving.wait(wait):
            wait = self._interval_seconds if self._tried() else min(2 * wait, _LONGEST_WAIT_SECONDS)
        self._tried()
        self._store.close()

    def _tried(self) -> bool:
        """Whether it was written. The thread outlives whatever is raised: without it nobody would count any more."""
        try:
            self.write()
        except StoreAway as away:
            self._tell(f"outcomes wait for the database: {away}")
            return False
        except Exception as error:  # noqa: BLE001  as said
            self._outcomes.broke()
            self._tell(f"outcomes were not written: {type(error).__name__}")
            return False
        self._tell("")
        return True

    def _tell(self, fault: str) -> None:
        """Once, not at every try."""
        if fault != self._fault:
            if fault:
                _log.warning("%s", fault)
            else:
                _log.warning("outcomes are written again")
            self._fault = fault
