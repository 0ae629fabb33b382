"""Lost and doubled: what was sent, held against the runs that there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple


class Tally(NamedTuple):
    """Of events, not of deliveries."""

    lost: int
    """Acknowledged, by whichever of their deliveries, and without a run."""
    doubled: int
    """Runs beyond the first of an event, acknowledged or not."""
    unasked: int
    """Runs of what nobody sent."""
    runs: int


def tally(sent: Collection[str], acknowledged: Collection[str], runs: Iterable[str]) -> Tally:
    """*runs*: the event of each run. An event that was sent and never acknowledged may have its one run, or none."""
    counts = Counter(runs)
    return Tally(
        lost=sum(not counts[event] for event in set(acknowledged)),
        doubled=sum(count - 1 for count in counts.values()),
        unasked=len(counts.keys() - set(sent)),
        runs=counts.total(),
    )
