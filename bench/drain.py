"""The floor: the same pages of the same views, fetched and decoded as the proof does, and then thrown away.

What the proof takes beyond this is its own: digests, comparison, bookkeeping.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from bench.night import Copy
from steward.snapshots.lockstep import Pace, common_reach, ranges
from steward.snapshots.moments import Moment
from steward.snapshots.views import PointInTime, RestoredShard

KEEP = "30m"


class Stretch(NamedTuple):
    """Sequence numbers of one shard, in its three views."""

    before: PointInTime
    copy: RestoredShard
    after: PointInTime
    low: int
    high: int


def drain(copy: Copy, workers: int) -> int:
    """Read both sides; the number of documents of the copy."""
    with ThreadPoolExecutor(workers) as pool:
        return sum(pool.map(_drain, list(_stretches(copy))))


def _stretches(copy: Copy) -> Iterator[Stretch]:
    """Of a source at rest every operation is below PIT0's complete bound."""
    later = copy.taken.moments.by_shard
    for moment in copy.before.moments:
        name = f"{moment.index}[{moment.shard}]"
        views = (_view(copy, moment, name), _copied(copy, moment), _view(copy, later[moment.key], name))
        for low, high in ranges(moment.complete, moment.complete):
            yield Stretch(*views, low, high)


def _view(copy: Copy, moment: Moment, name: str) -> PointInTime:
    return PointInTime(copy.source, moment.pit, KEEP, name)


def _copied(copy: Copy, moment: Moment) -> RestoredShard:
    return RestoredShard(copy.scratch, copy.restored.prefix + moment.index, moment.shard)


def _drain(stretch: Stretch) -> int:
    pace, low, documents = Pace(), stretch.low, 0
    while low <= stretch.high:
        high = min(low + pace.width - 1, stretch.high)
        zero, before_bytes = stretch.before.page(low, high, pace.size)
        back, copy_bytes = stretch.copy.page(low, high, pace.size)
        high, (zero, back) = common_reach(high, pace.size, zero, back)
        pace.learn(high - low + 1, max(len(zero), len(back)), max(before_bytes, copy_bytes))
        stretch.after.figures(low, high)
        documents += len(back)
        low = high + 1
    return documents
