"""How fast a sweep may go: as fast as the application does not feel.

A probe asks the database what the application asks it, some tens of times a second, from a process of its own. While
its 90th percentile is above the allowed, the sweep rests longer after each batch; while it is below, it rests less. Where
the probe is silent, the sweep goes at half its speed.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

#: Probes that are looked at together.
_WINDOW = 20
#: A rest relative to the batch before it: none, to 50 times as long.
_LEAST, _MOST = 0.0, 50.0
_SLOWER, _FASTER = 2.0, 0.9
_FIRST_REST = 0.05
#: A probe that has said nothing for so long is not heard, and what the application feels is not known: half the speed.
_SILENT_SECONDS, _BLIND_REST = 5.0, 1.0

#: The last there is: next to nothing where somebody else wants the whole processor, all of it where nobody does.
_NICENESS = 19


def give_way() -> None:
    """Let whatever else runs on this machine, an application maybe, have the processor before this thread; for good."""
    # On Linux each thread has a priority of its own; elsewhere it would be the whole process's, heartbeat included.
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


@dataclass(frozen=True, slots=True)
class Budget:
    """What the application may lose."""

    quiet_milliseconds: float
    """The probe's 90th percentile while nothing is swept."""
    added_milliseconds: float
    """What it may rise by; infinite: by anything."""

    @property
    def most(self) -> float:
        """The probe's 90th percentile that is still allowed."""
        return self.quiet_milliseconds + self.added_milliseconds


class Pace:
    """Shared by the threads of a sweep and the one that listens to the probe."""

    def __init__(self, budget: Budget, clock: Callable[[], float] = time.monotonic) -> None:
        self.budget, self._clock = budget, clock
        self._heard_at = clock()
        self._recent: deque[float] = deque(maxlen=_WINDOW)
        self._rest = _LEAST
        self._changing = threading.Lock()

    def felt(self, milliseconds: float) -> None:
        """One probe took so long."""
        with self._changing:
            self._heard_at = self._clock()
            self._recent.append(milliseconds)
            if len(self._recent) < _WINDOW // 2:
                return
            if percentile(self._recent, 0.9) > self.budget.most:
                self._rest = min(max(self._rest * _SLOWER, _FIRST_REST), _MOST)
                # What follows is judged by what is felt from now on.
                self._recent.clear()
            else:
                self._rest = self._rest * _FASTER if self._rest > _FIRST_REST else _LEAST

    def rest_seconds(self, batch_seconds: float) -> float:
        """How long to rest after a batch that took *batch_seconds*."""
        blind = math.isfinite(self.budget.most) and self._clock() > self._heard_at + _SILENT_SECONDS
        return min(max(self._rest, _BLIND_REST if blind else _LEAST) * batch_seconds, 1.0)


def percentile(values: Sequence[float] | deque[float], fraction: float) -> float:
    """The value that *fraction* of *values* do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(fraction * len(ordered)), len(ordered) - 1)]
