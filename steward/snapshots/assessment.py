"""Is one document of a restored copy what its source held when the shard was committed? Decided from three views.

A shard's operations (index, delete, no-op) carry dense sequence numbers. Let A0, AR and A1 be the operations that show
in PIT0 (opened before the snapshot), in the restored copy, and in PIT1 (opened once the shard had its commit). Then

    {<= before.complete} in A0 in {<= before.ceiling}
    {<= commit.local}    in AR in {<= commit.top}
    {<= after.complete}  in A1 in {<= after.ceiling}
    A0 in AR in A1

and `assess` follows from these lines alone. Where more than one history fits, it says so instead of guessing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class State(NamedTuple):
    """A document as one view shows it. `digest` is of its raw `_source`."""

    seq_no: int
    term: int
    version: int
    routing: str
    digest: bytes


class Edge(NamedTuple):
    """What a point in time is known to show: every operation up to `complete`, none above `ceiling`."""

    complete: int
    ceiling: int
    term: int


class Commit(NamedTuple):
    """What the copy's first commit is known to hold: every operation up to `local`, none above `top`."""

    local: int
    top: int


@dataclass(frozen=True)
class Bounds:
    """One shard's bounds.

    `counted`: `_version` grew by one with every operation in the window (same primary, window below
    index.gc_deletes, versions not given from outside).
    """

    before: Edge
    commit: Commit
    after: Edge
    counted: bool

    @property
    def failed_over(self) -> bool:
        """Another primary took over between the two points in time, and may have rolled operations back."""
        return self.after.term > self.before.term

    @property
    def commit_is_pit0(self) -> bool:
        """AR = A0: nothing happened between PIT0 and the commit."""
        return self.commit.top <= self.before.complete

    @property
    def commit_is_pit1(self) -> bool:
        """AR = A1: nothing happened between the commit and PIT1."""
        return self.after.ceiling <= self.commit.local and not self.failed_over


class Standing(StrEnum):
    """What is known of a document."""

    PROVED = "proved"
    """The copy holds what the commit held."""
    BRACKETED = "bracketed"
    """The copy holds what PIT0 or PIT1 shows; which of them the commit held only the writer's log can say."""
    UNSEEN = "unseen"
    """The copy holds a state between, which neither point in time shows; only the writer's log can confirm it."""
    REFUTED = "refuted"
    """No history fits: the copy is wrong."""
    UNSOUND = "unsound"
    """The views contradict the bounds: the proof failed, which says nothing against the copy."""


class Change(StrEnum):
    """What happened to a document in the window."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


class Assessment(NamedTuple):
    """The standing of one document, why, and the change in the window that explains a difference."""

    standing: Standing
    reason: str
    change: Change | None = None


UNCHANGED = Assessment(Standing.PROVED, "unchanged")


def assess(p0: State | None, r: State | None, p1: State | None, bounds: Bounds) -> Assessment:
    """The standing of a document of which PIT0 shows *p0*, the copy *r*, and PIT1 *p1*. None: not there."""
    return (
        _against_the_bounds(p0, r, p1, bounds)
        or _rolled_back(r, p1, bounds)
        or (_present(p0, r, p1, bounds) if r else _absent(p0, p1, bounds))
    )


def certainly_refuted(p0: State | None, r: State | None, complete: int) -> bool:
    """Whether the copy is wrong whatever PIT1 shows: PIT0 would have shown what the copy shows."""
    return r is not None and r.seq_no <= complete and r != p0


def _against_the_bounds(p0: State | None, r: State | None, p1: State | None, bounds: Bounds) -> Assessment | None:
    if r and r.seq_no > bounds.commit.top:
        return _refuted("written after the restore")
    if p1 and ((p0 and p1.seq_no < p0.seq_no) or (p1.seq_no <= bounds.before.complete and p1 != p0)):
        return Assessment(Standing.UNSOUND, "PIT1 shows what PIT0 ought to have shown")
    return None


def _rolled_back(r: State | None, p1: State | None, bounds: Bounds) -> Assessment | None:
    """A new primary may have replaced operations above PIT0's ceiling that the copy still has. Then only a new attempt
    can tell: to count such a document as undecidable would let a lost one pass.
    """
    if not bounds.failed_over or r == p1:
        return None
    by_the_old = r and r.seq_no > bounds.before.ceiling and r.term < bounds.after.term
    by_the_new = p1 and p1.term > bounds.before.term
    deleted_by_the_old = not r and bounds.commit.top > bounds.before.ceiling
    if by_the_old or by_the_new or deleted_by_the_old:
        return Assessment(Standing.UNSOUND, "the primary changed in the window and may have rolled operations back")
    return None


def _present(p0: State | None, r: State, p1: State | None, bounds: Bounds) -> Assessment:
    if fault := _fault_of_present(p0, r, p1, bounds):
        return _refuted(fault)
    if r == p1:
        return UNCHANGED if r == p0 else _proved("written in the window, before the commit", p0, p1)
    if r != p0:
        return Assessment(Standing.UNSEEN, "a state between PIT0 and PIT1", _change(p0, p1))
    if bounds.commit_is_pit0 or (p1 and _one_operation(p0, p1, bounds)):
        return _proved("changed in the window, after the commit", p0, p1)
    return _bracketed("as in PIT0; changed in the window", p0, p1)


def _fault_of_present(p0: State | None, r: State, p1: State | None, bounds: Bounds) -> str | None:
    faults = {
        "changed: same _seq_no, other content": any(p and p.seq_no == r.seq_no and p != r for p in (p0, p1)),
        "stale: older than PIT0 shows": p0 and p0.seq_no > r.seq_no,
        "foreign: PIT0 would have shown it": certainly_refuted(p0, r, bounds.before.complete),
        "foreign: newer than PIT1 shows": p1 and p1.seq_no < r.seq_no,
        "stale: the commit covers what PIT1 shows": r != p1 and p1 and p1.seq_no <= bounds.commit.local,
        "resurrected: nothing happened after the commit": r != p1 and bounds.commit_is_pit1,
    }
    return next((fault for fault, holds in faults.items() if holds), None)


def _absent(p0: State | None, p1: State | None, bounds: Bounds) -> Assessment:
    if p1 and (p1.seq_no <= bounds.commit.local or p1 == p0):
        return _refuted("missing")
    if p0 and (bounds.commit_is_pit0 or (p1 and _one_operation(p0, p1, bounds))):
        return _refuted("missing: never deleted before the commit")
    if p0 and p1:
        return Assessment(Standing.UNSEEN, "absent between PIT0 and PIT1", Change.UPDATED)
    if p0:
        told = _proved if bounds.commit_is_pit1 else _bracketed
        return told("as in PIT1; deleted in the window", p0, p1)
    if bounds.commit_is_pit0 or (p1 and p1.version == 1 and _counts(p1, bounds)):
        return _proved("created in the window, after the commit", p0, p1)
    return _bracketed("as in PIT0; created in the window", p0, p1)


def _one_operation(p0: State | None, p1: State, bounds: Bounds) -> bool:
    """Whether exactly one operation led from *p0* to *p1*."""
    return p0 is not None and p1.version == p0.version + 1 and _counts(p0, bounds) and _counts(p1, bounds)


def _counts(state: State, bounds: Bounds) -> bool:
    """A counted version cannot exceed the operations that the shard has had: one that does was given from outside."""
    return bounds.counted and state.version <= state.seq_no + 1


def _change(p0: State | None, p1: State | None) -> Change:
    if p1 is None:
        return Change.DELETED
    return Change.UPDATED if p0 else Change.CREATED


def _proved(reason: str, p0: State | None, p1: State | None) -> Assessment:
    return Assessment(Standing.PROVED, reason, _change(p0, p1))


def _bracketed(reason: str, p0: State | None, p1: State | None) -> Assessment:
    return Assessment(Standing.BRACKETED, reason, _change(p0, p1))


def _refuted(reason: str) -> Assessment:
    return Assessment(Standing.REFUTED, reason)
