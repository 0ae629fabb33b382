"""Walk PIT0, the copy and PIT1 of one shard in lockstep by `_seq_no`.

In memory: one page of each, and the documents that differ. Below PIT0's complete bound PIT1 need only tell which
sequence numbers still live, because a document whose `_seq_no` did not change did not change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from steward.snapshots.assessment import Assessment, Bounds, Standing, State, assess, certainly_refuted
from steward.snapshots.digests import ContentDigest
from steward.snapshots.documents import Document
from steward.snapshots.views import MOST_PAGE, View, figures_of

#: Bytes that a page aims at. Larger ones gained nothing and cost memory; smaller ones cost round trips.
PAGE_BYTES = 4 << 20
FIRST_PAGE = 1_000
LEAST_PAGE = 50
#: Sequence numbers in one range, the unit of parallel work and of progress.
RANGE = 50_000
#: Documents of one shard that may differ: about 1 kB each while the shard is walked.
MOST_DIFFERING = 100_000

BEFORE, COPY, AFTER = range(3)
PREMISE = "PIT1 shows what PIT0 ought to have shown"


@dataclass(frozen=True)
class Views:
    """The three views of one shard."""

    before: View
    copy: View
    after: View


@dataclass
class Pace:
    """How many documents to ask for, and in how wide a range, so that pages weigh about PAGE_BYTES."""

    size: int = FIRST_PAGE
    width: int = FIRST_PAGE

    def learn(self, span: int, documents: int, weight: int) -> None:
        """After a page of *documents* that weighed *weight* bytes and covered *span* sequence numbers."""
        documents = max(documents, 1)
        self.size = min(MOST_PAGE, max(LEAST_PAGE, PAGE_BYTES * documents // max(weight, 1)))
        self.width = max(1, min(span * self.size // documents, 8 * self.width))


@dataclass
class Tally:
    """What a range came to: pages that were the same in all views leave no more than this behind."""

    unchanged: int = 0
    digest: ContentDigest = field(default_factory=ContentDigest)
    contradictions: list[int] = field(default_factory=list[int])


@dataclass
class Walk:
    """One shard's comparison. Ranges may be walked by several threads: each sets its own sides of `differing`."""

    views: Views
    bounds: Bounds
    most_differing: int = MOST_DIFFERING
    differing: dict[str, list[State | None]] = field(default_factory=dict[str, list["State | None"]])
    pace: Pace = field(default_factory=Pace)

    @property
    def overflowing(self) -> bool:
        """More documents differ than memory is given to: the walk stops, and says so."""
        return len(self.differing) > self.most_differing

    def walk(self, low: int, high: int) -> Tally:
        """Compare the documents with `_seq_no` from *low* to *high*, on one side of PIT0's complete bound."""
        tally, pace = Tally(), Pace(self.pace.size, self.pace.width)
        compare = self._settled if high <= self.bounds.before.complete else self._in_window
        while low <= high and not self.overflowing:
            reached = compare(low, min(low + pace.width - 1, high), pace, tally)
            low = reached + 1
        self.pace = pace
        return tally

    def _settled(self, low: int, high: int, pace: Pace, tally: Tally) -> int:
        zero, before_bytes = self.views.before.page(low, high, pace.size)
        back, copy_bytes = self.views.copy.page(low, high, pace.size)
        high, (zero, back) = common_reach(high, pace.size, zero, back)
        pace.learn(high - low + 1, max(len(zero), len(back)), max(before_bytes, copy_bytes))
        tally.digest.add(back)
        if zero == back and self.views.after.figures(low, high) == figures_of(zero):
            # The common page: compared in C, nothing kept.
            tally.unchanged += len(zero)
        else:
            self._sort_out(zero, back, self.views.after.numbers(low, high), tally)
        return high

    def _sort_out(self, zero: list[Document], back: list[Document], alive: set[int], tally: Tally) -> None:
        copies = {document._seq_no: document for document in back}  # noqa: SLF001  the wire's name
        originals = {document._seq_no: document for document in zero}  # noqa: SLF001
        # A sound shard has one document a number. Of two in the copy neither may hide behind the other.
        single = Counter(document._seq_no for document in back)  # noqa: SLF001
        tally.contradictions += sorted(alive - originals.keys())
        steady = {n for n in alive if n in originals and copies.get(n) == originals[n] and single[n] == 1}
        tally.unchanged += len(steady)
        self._keep(BEFORE, (document for n, document in originals.items() if n not in steady))
        self._keep(COPY, (document for document in back if document._seq_no not in steady))  # noqa: SLF001
        self._keep(AFTER, (document for n, document in originals.items() if n in alive and n not in steady))

    def _in_window(self, low: int, high: int, pace: Pace, tally: Tally) -> int:
        views = self.views
        pages = [view.page(low, high, pace.size) for view in (views.before, views.copy, views.after)]
        high, cut = common_reach(high, pace.size, *(documents for documents, _ in pages))
        pace.learn(high - low + 1, max(map(len, cut)), max(weight for _, weight in pages))
        tally.digest.add(cut[COPY])
        for side, documents in enumerate(cut):
            self._keep(side, iter(documents))
        return high

    def _keep(self, side: int, documents: Iterator[Document]) -> None:
        for document in documents:
            self.differing.setdefault(document._id, [None, None, None])[side] = document.state()  # noqa: SLF001


def common_reach(high: int, size: int, *pages: list[Document]) -> tuple[int, list[list[Document]]]:
    """How far all *pages* reach, and what of each lies within: a full page may have left documents behind it."""
    ends = [page[-1]._seq_no for page in pages if len(page) >= size]  # noqa: SLF001
    if not ends:
        return high, list(pages)
    reach = min(ends)
    return reach, [[document for document in page if document._seq_no <= reach] for page in pages]  # noqa: SLF001


def ranges(complete: int, end: int) -> Iterator[tuple[int, int]]:
    """All of 0..*end* in ranges, none of which lies on both sides of *complete*."""
    low = 0
    while low <= end:
        high = min(low + RANGE - 1, end)
        if low <= complete < high:
            high = complete
        yield low, high
        low = high + 1


Named = tuple[str | None, Assessment]
"""A document's id (None: the shard itself) and what is said of it."""


def judge(walk: Walk, tallies: list[Tally]) -> Iterator[Named]:
    """What is said of each document that differs, and of the shard. The unchanged ones are in the tallies."""
    bounds = walk.bounds
    if bounds.commit.local < bounds.before.ceiling:
        yield None, Assessment(Standing.REFUTED, "the copy's commit is older than PIT0: an earlier snapshot")
    if bounds.commit.top > bounds.after.complete and not bounds.failed_over:
        yield None, Assessment(Standing.UNSOUND, "the copy's commit is younger than PIT1")
    if any(tally.contradictions for tally in tallies):
        yield None, Assessment(Standing.UNSOUND, PREMISE)
    if walk.overflowing:
        yield from _overflow(walk)
        return
    for document, (p0, r, p1) in walk.differing.items():
        yield document, assess(p0, r, p1, bounds)


def _overflow(walk: Walk) -> Iterator[Named]:
    """Stopped halfway, only what holds whatever the rest would show is said."""
    yield (
        None,
        Assessment(Standing.UNSOUND, f"more than {walk.most_differing:,} documents differ; the comparison stopped"),
    )
    for document, (p0, r, _) in walk.differing.items():
        if certainly_refuted(p0, r, walk.bounds.before.complete):
            yield document, Assessment(Standing.REFUTED, "differs from PIT0, which would have shown it")
