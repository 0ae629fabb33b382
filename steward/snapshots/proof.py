"""The moment proof: is a restored copy what its source held when each shard was committed, while clients kept writing?

The source and the copy are on different clusters. Each shard is walked in lockstep (lockstep.py) and each document
that differs is decided (assessment.py); this module gathers the bounds, shares out the work, and reports.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from steward.errors import StewardError
from steward.snapshots.api import SearchApi, in_request_lines
from steward.snapshots.assessment import Assessment, Bounds
from steward.snapshots.content import ContentReport, IndexContent, IndexTally
from steward.snapshots.lockstep import MOST_DIFFERING, Tally, Views, Walk, judge, ranges
from steward.snapshots.moments import Moment, Moments
from steward.snapshots.restoring import Restored, index_uuids
from steward.snapshots.shards import Primary, Shard, started_primaries
from steward.snapshots.views import PointInTime, RestoredShard

#: More threads only queue at the servers; fewer leave them idle while a page is decoded.
WORKERS = 3
#: Versions are not relied on nearer than this to index.gc_deletes: nodes prune on their own clocks and schedules.
GC_DELETES_MARGIN_SECONDS = 10.0
KEEP = "30m"

Progress = Callable[[int, int], None]
"""Told how many sequence numbers have been compared, and of how many."""

Decided = Callable[[Shard, str | None, Assessment], None]
"""Told of every document that differs between the views, and what was decided. None: the shard itself."""


def prove(
    source: SearchApi,
    scratch: SearchApi,
    moments0: Moments,
    restored: Restored,
    moments1: Moments,
    *,
    internal_versions: bool = True,
    workers: int = WORKERS,
    most_differing: int = MOST_DIFFERING,
    progress: Progress = lambda _done, _of: None,
    decided: Decided = lambda _shard, _document, _assessment: None,
) -> ContentReport:
    """Compare every index of *restored* with the points in time before and after its snapshot.

    *internal_versions*: False where writers use version_type external_gte, with which `_version` counts nothing; fewer
    documents are decided then. A lost point in time, a lost shard, a refused index make their own index UNKNOWN and
    leave the others' proof alone.
    """
    started = time.monotonic()
    proof = _Proof(source, scratch, moments0, restored, moments1, internal_versions, most_differing, decided)
    with ThreadPoolExecutor(workers) as pool:
        jobs = proof.jobs()
        total, done = sum(high - low + 1 for job in jobs for low, high in job.spans), 0
        for job in jobs:
            job.futures = [pool.submit(job.walk.walk, low, high) for low, high in job.spans]
        # In order, each forgotten once it is judged: what differs in a shard is held no longer than needed.
        while jobs:
            job = jobs.pop(0)
            proof.settle(job)
            done += sum(high - low + 1 for low, high in job.spans)
            progress(done, total)
    return ContentReport(indices=proof.reports(), seconds=time.monotonic() - started)


@dataclass
class _Job:
    """One shard's comparison under way."""

    shard: Shard
    walk: Walk
    spans: list[tuple[int, int]]
    futures: list[Future[Tally]] = field(default_factory=list["Future[Tally]"])


@dataclass
class _Proof:
    source: SearchApi
    scratch: SearchApi
    m0: Moments
    restored: Restored
    m1: Moments
    internal_versions: bool
    most_differing: int
    decided: Decided
    unread: set[str] = field(default_factory=set[str])
    """Indices whose copy was not read to its end, so that it has no digest."""

    def __post_init__(self) -> None:
        self.tallies = {name: IndexTally(name) for name in self.restored.indices}

    def jobs(self) -> list[_Job]:
        """The shards that can be compared; of the others the tallies say why not."""
        self._note_what_cannot_be_compared()
        provable = [name for name in self.tallies if name not in self.unread]
        copies = [self.restored.prefix + name for name in provable]
        for names in in_request_lines(copies):
            # The copy refreshes never by itself; what was written to it by mistake must show.
            self.scratch.request("POST", f"/{names}/_refresh")
        now = started_primaries(self.scratch, copies)
        shards = self.m0.by_shard
        return [job for key in sorted(shards) if key.index in provable for job in self._job(shards[key], now)]

    def settle(self, job: _Job) -> None:
        """Await a shard's ranges, decide its documents, and count them."""
        tally = self.tallies[job.shard.index]
        try:
            walked = [future.result() for future in job.futures]
        except StewardError as error:
            for future in job.futures:
                future.cancel()
            self.unread.add(job.shard.index)
            tally.lose(str(job.shard), error.message)
            return
        for each in walked:
            tally.digest.merge(each.digest)
            tally.unchanged += each.unchanged
        if job.walk.overflowing:
            self.unread.add(job.shard.index)
        for document, assessment in judge(job.walk, walked):
            self.decided(job.shard, document, assessment)
            tally.note(str(job.shard), document, assessment)

    def reports(self) -> list[IndexContent]:
        """One an index, in the order of the restore."""
        return [tally.report(read_in_full=name not in self.unread) for name, tally in self.tallies.items()]

    def _note_what_cannot_be_compared(self) -> None:
        there = index_uuids(self.scratch, self.restored.uuids)
        for name, tally in self.tallies.items():
            self._note_index(name, tally, there.get(self.restored.prefix + name))
            if tally.total:
                self.unread.add(name)
        for failed in self.restored.failed:
            tally = self.tallies[failed.index]
            subject, fact = f"{failed.index}[{failed.shard}]", f"not restored: {failed.reason}"
            self.unread.add(failed.index)
            if failed.damaged:
                tally.refute(subject, fact)
            else:
                tally.lose(subject, fact, for_good=True)

    def _note_index(self, name: str, tally: IndexTally, uuid: str | None) -> None:
        before, after = self.m0.indices.get(name), self.m1.indices.get(name)
        recorded = self.restored.uuids.get(self.restored.prefix + name)
        if before is None:
            tally.lose(name, "it was not among the indices of PIT0")
        elif before.refused:
            tally.lose(name, before.refused, for_good=True)
        elif name in self.restored.missing:
            tally.refute(name, "missing in the snapshot")
        elif uuid is None:
            tally.refute(name, "missing: its copy is not on the scratch cluster")
        elif uuid != recorded:
            tally.lose(name, f"its copy was replaced since the restore: UUID {uuid}, expected {recorded}")
        elif after is None or after.uuid != before.uuid:
            tally.lose(name, "it was deleted or made anew in the window")

    def _job(self, m0: Moment, now: dict[Shard, Primary]) -> Iterator[_Job]:
        shard, tally = m0.key, self.tallies[m0.index]
        commit = next((each.commit for each in self.restored.shards if each.key == shard), None)
        m1 = self.m1.by_shard.get(shard)
        copy = now.get(Shard(self.restored.prefix + shard.index, shard.number))
        if commit is None or copy is None or m1 is None:
            self.unread.add(shard.index)
            if commit is None:
                tally.refute(str(shard), "not restored")
            else:
                tally.lose(str(shard), "PIT1 was not opened" if m1 is None else "its copy has no started shard")
            return
        if copy.max_seq_no > commit.top:
            tally.refute(
                str(shard),
                f"written after the restore: its newest _seq_no is {copy.max_seq_no}, its commit's {commit.top}",
            )
        bounds = Bounds(m0.edge, commit, m1.edge, self._counted(m0, m1))
        views = Views(
            PointInTime(self.source, m0.pit, KEEP, f"PIT0 of {shard}"),
            RestoredShard(self.scratch, self.restored.prefix + shard.index, shard.number),
            PointInTime(self.source, m1.pit, KEEP, f"PIT1 of {shard}"),
        )
        end = max(copy.max_seq_no, m1.ceiling, m0.ceiling)
        yield _Job(shard, Walk(views, bounds, self.most_differing), list(ranges(m0.complete, end)))

    def _counted(self, m0: Moment, m1: Moment) -> bool:
        """Whether versions count operations: the same primary, and no deleted document's version forgotten."""
        forgotten_after = self.m0.indices[m0.index].gc_deletes_seconds - GC_DELETES_MARGIN_SECONDS
        # Both clocks: the wall clock may be set, and the monotonic one means nothing on another machine.
        spans = (m1.ended - m0.began, m1.ended_monotonic - m0.began_monotonic)
        steady = (m0.term, m0.node) == (m1.term, m1.node)
        return self.internal_versions and steady and min(spans) >= 0 and max(spans) < forgotten_after
