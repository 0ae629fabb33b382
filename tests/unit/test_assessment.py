"""The decision table against simulated histories: shards whose every operation is known, cut at every moment allowed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from steward.snapshots.assessment import Assessment, Bounds, Commit, Edge, Standing, State, assess

DOCUMENTS = "abc"
LOST_NOTHING = (Standing.PROVED, Standing.BRACKETED, Standing.UNSEEN)


@dataclass(frozen=True)
class Operation:
    document: str | None
    """None: a no-op."""
    state: State | None
    """None: a delete."""


Timeline = list[Operation]
View = frozenset[int]


def shows(timeline: Timeline, view: View, document: str) -> State | None:
    """The newest operation on *document* that *view* contains."""
    seen = [timeline[n].state for n in sorted(view) if timeline[n].document == document]
    return seen[-1] if seen else None


def continued(random: Random, start: Timeline, term: int, counted: bool = True) -> Timeline:
    """*start* and up to a dozen operations of *term*. Versions count operations, over deletes too."""
    timeline = list(start)
    for number in range(len(start), len(start) + random.randint(0, 12)):
        document = random.choice([*DOCUMENTS, None])
        version = 1 + sum(one.document == document for one in timeline) + (0 if counted else random.randint(0, 10**6))
        state = State(number, term, version, random.choice(["", "r"]), f"{term}.{number}".encode())
        timeline.append(Operation(document, state if document and random.random() < 0.7 else None))
    return timeline


def cut(random: Random, timeline: Timeline, within: View, least: int) -> tuple[View, int]:
    """A view, and the bound up to which it shows every operation of *within*. Beyond the bound it shows some; per
    document without a gap, because a document's operations are applied one after the other.
    """
    every = sorted(within)
    complete = random.randint(least, max([least, *every]))
    shown = {n for n in every if n <= complete}
    for n in every:
        earlier = {m for m in every if m < n and timeline[m].document == timeline[n].document}
        if n > complete and earlier <= shown and random.random() < 0.5:
            shown.add(n)
    return frozenset(shown), complete


@dataclass(frozen=True)
class Night:
    timeline: Timeline
    a0: View
    ar: View
    a1: View
    bounds: Bounds

    def views(self, document: str) -> tuple[State | None, State | None, State | None]:
        return tuple(shows(self.timeline, view, document) for view in (self.a0, self.ar, self.a1))  # type: ignore[return-value]

    def admissible(self, document: str) -> set[State | None]:
        """What a commit within the bounds could hold of *document*, given what the points in time hold."""
        own = [n for n, one in enumerate(self.timeline) if one.document == document]
        surely = max([n for n in own if n in self.a0 or n <= self.bounds.commit.local], default=-1)
        perhaps = [n for n in own if surely < n <= self.bounds.commit.top and n in self.a1]
        return {self.timeline[n].state if n >= 0 else None for n in (surely, *perhaps)}


def night_of(seed: int, counted: bool = True) -> Night:
    random = Random(seed)
    timeline = continued(random, [], term=1, counted=counted)
    # PIT1 first, then backwards: A0 in AR in A1, each with the bounds that the proof measures.
    a1, complete1 = cut(random, timeline, frozenset(range(len(timeline))), -1)
    ar, local = cut(random, timeline, frozenset(n for n in a1 if n <= complete1), -1)
    top = random.randint(max([local, *ar]), complete1)
    a0, complete0 = cut(random, timeline, frozenset(n for n in ar if n <= local), -1)
    ceiling0 = random.randint(max([complete0, *a0]), local)
    ceiling1 = random.randint(max([complete1, *a1]), max([complete1, len(timeline) - 1]))
    bounds = Bounds(Edge(complete0, ceiling0, 1), Commit(local, top), Edge(complete1, ceiling1, 1), counted)
    return Night(timeline, a0, ar, a1, bounds)


# By seed: thousands of histories in a second, where drawing each operation would give dozens.
SEEDS = st.integers(0, 2**32)
NIGHTS = SEEDS.map(night_of)
STAMPED_NIGHTS = SEEDS.map(lambda seed: night_of(seed, counted=False))
many = settings(max_examples=150, deadline=None)


@many
@given(NIGHTS)
def test_a_true_copy_is_never_refuted_and_never_called_unsound(night: Night):
    for document in DOCUMENTS:
        assert assess(*night.views(document), night.bounds).standing in LOST_NOTHING


@many
@given(STAMPED_NIGHTS)
def test_a_true_copy_is_never_refuted_when_versions_come_from_outside(night: Night):
    for counted in (False, True):
        for document in DOCUMENTS:
            assert assess(*night.views(document), replace(night.bounds, counted=counted)).standing in LOST_NOTHING


def wrong_states(night: Night, document: str) -> list[State | None]:
    """What a wrong copy might hold: every state the document ever had, one it never had, another's, nothing."""
    _, r, p1 = night.views(document)
    others = [one.state for one in night.timeline if one.document == document and one.state]
    forged = [
        s._replace(**change)
        for s in {r, p1, *others} - {None}
        for change in ({"digest": b"x"}, {"routing": "x"}, {"version": 99}, {"term": 9})
    ]
    never = State(len(night.timeline) + 1, 1, 1, "", b"never")
    return [s for s in {None, never, *others, *forged} if s != r]


@many
@given(NIGHTS)
def test_a_wrong_copy_is_proved_only_where_a_commit_within_the_bounds_could_hold_just_that(night: Night):
    for document in DOCUMENTS:
        p0, _, p1 = night.views(document)
        admissible = night.admissible(document)
        for wrong in wrong_states(night, document):
            if assess(p0, wrong, p1, night.bounds).standing is Standing.PROVED:
                assert wrong in admissible


@many
@given(NIGHTS)
def test_a_wrong_copy_is_never_proved_when_the_commit_is_known_to_the_operation(night: Night):
    assume(night.bounds.commit.local == night.bounds.commit.top)
    for document in DOCUMENTS:
        p0, _, p1 = night.views(document)
        for wrong in wrong_states(night, document):
            assert assess(p0, wrong, p1, night.bounds).standing is not Standing.PROVED


@many
@given(NIGHTS)
def test_a_wrong_copy_of_an_untouched_document_is_always_refuted(night: Night):
    for document in DOCUMENTS:
        p0, r, p1 = night.views(document)
        if p0 == r == p1 and r is not None:
            for wrong in wrong_states(night, document):
                assert assess(p0, wrong, p1, night.bounds).standing is Standing.REFUTED


@many
@given(NIGHTS)
def test_a_state_that_was_never_written_is_refuted_wherever_a_point_in_time_covers_it(night: Night):
    for document in DOCUMENTS:
        p0, _, p1 = night.views(document)
        for wrong in wrong_states(night, document):
            if wrong not in (None, p0) and (
                wrong.seq_no <= night.bounds.before.complete or wrong.seq_no > night.bounds.commit.top
            ):
                assert assess(p0, wrong, p1, night.bounds).standing is Standing.REFUTED


@many
@given(NIGHTS)
def test_where_nothing_happened_on_one_side_of_the_commit_every_document_is_decided(night: Night):
    assume(night.bounds.commit_is_pit0 or night.bounds.commit_is_pit1)
    for views in filter(any, map(night.views, DOCUMENTS)):
        assert assess(*views, night.bounds).standing is Standing.PROVED
        for wrong in {*(one.state for one in night.timeline), None} - {views[1]}:
            assert assess(views[0], wrong, views[2], night.bounds).standing is Standing.REFUTED


@many
@given(SEEDS)
def test_a_true_copy_is_never_refuted_when_a_primary_rolled_operations_back(seed: int):
    """The old primary's operations above what a replica has are rolled back; the new one writes others in their
    place. The snapshot's commit is of either.
    """
    random = Random(seed)
    old = continued(random, [], term=1)
    ceiling0 = random.randint(-1, len(old) - 1)
    kept = random.randint(ceiling0, len(old) - 1)
    new = continued(random, old[: kept + 1], term=2)
    a0, complete0 = cut(random, old, frozenset(range(ceiling0 + 1)), -1)
    committed = random.choice([old, new])
    ar, local = cut(random, committed, frozenset(range(len(committed))), ceiling0)
    # Every operation of the commit that was not rolled back shows in PIT1, which came later.
    a1, complete1 = cut(random, new, frozenset(range(len(new))), kept if committed is old else max([local, *ar]))
    bounds = Bounds(
        Edge(complete0, ceiling0, 1), Commit(local, max([local, *ar])), Edge(complete1, len(new) - 1, 2), counted=False
    )
    for document in DOCUMENTS:
        p0, r, p1 = shows(committed, a0, document), shows(committed, ar, document), shows(new, a1, document)
        assert assess(p0, r, p1, bounds).standing is not Standing.REFUTED


BOUNDS = Bounds(Edge(10, 12, 1), Commit(15, 15), Edge(20, 22, 1), counted=True)
OLD, MID, NEW = (State(n, 1, v, "", b"%d" % n) for n, v in ((5, 1), (14, 2), (18, 3)))


@pytest.mark.parametrize(
    ("p0", "r", "p1", "standing", "reason"),
    [
        (OLD, OLD, OLD, Standing.PROVED, "unchanged"),
        (OLD, MID, MID, Standing.PROVED, "written in the window, before the commit"),
        (OLD, OLD, NEW, Standing.BRACKETED, "as in PIT0; changed in the window"),
        (OLD, OLD, NEW._replace(version=2), Standing.PROVED, "changed in the window, after the commit"),
        (OLD, MID, NEW, Standing.UNSEEN, "a state between PIT0 and PIT1"),
        (OLD, OLD, MID, Standing.REFUTED, "stale: the commit covers what PIT1 shows"),
        (OLD, OLD._replace(digest=b"x"), OLD, Standing.REFUTED, "changed: same _seq_no, other content"),
        (OLD, OLD._replace(routing="x"), OLD, Standing.REFUTED, "changed: same _seq_no, other content"),
        (OLD, None, OLD, Standing.REFUTED, "missing"),
        (OLD, None, None, Standing.BRACKETED, "as in PIT1; deleted in the window"),
        (OLD, None, NEW._replace(version=2), Standing.REFUTED, "missing: never deleted before the commit"),
        (None, OLD, OLD, Standing.UNSOUND, "PIT1 shows what PIT0 ought to have shown"),
        (None, OLD, None, Standing.REFUTED, "foreign: PIT0 would have shown it"),
        (None, None, NEW._replace(version=1), Standing.PROVED, "created in the window, after the commit"),
        (None, NEW, NEW, Standing.REFUTED, "written after the restore"),
    ],
)
def test_each_row_of_the_table(p0: State | None, r: State | None, p1: State | None, standing: Standing, reason: str):
    assert assess(p0, r, p1, BOUNDS)[:2] == (standing, reason)


def test_a_copy_older_than_pit0_is_stale_even_above_what_pit0_shows_in_full():
    p0, r = OLD._replace(seq_no=12), OLD._replace(seq_no=11)
    assert assess(p0, r, p0, BOUNDS)[:2] == (Standing.REFUTED, "stale: older than PIT0 shows")


def test_a_copy_newer_than_pit1_is_foreign_even_where_the_commit_is_not_known_to_the_operation():
    gap = replace(BOUNDS, commit=Commit(12, 15))
    p1, r = MID._replace(seq_no=13), MID
    assert assess(OLD, r, p1, gap)[:2] == (Standing.REFUTED, "foreign: newer than PIT1 shows")


def test_a_document_created_before_the_commit_must_be_there():
    assert assess(None, None, MID, BOUNDS)[:2] == (Standing.REFUTED, "missing")


def test_where_versions_do_not_count_no_document_is_decided_by_them():
    loose = replace(BOUNDS, counted=False)
    assert assess(OLD, OLD, NEW._replace(version=2), loose).standing is Standing.BRACKETED
    assert assess(None, None, NEW._replace(version=1), loose).standing is Standing.BRACKETED


def test_a_version_given_from_outside_is_not_taken_for_a_count_of_operations():
    stamped = State(18, 1, 1_790_000_000_001, "", b"b")
    before = State(5, 1, 1_790_000_000_000, "", b"a")
    assert assess(before, before, stamped, BOUNDS).standing is Standing.BRACKETED
    assert isinstance(assess(before, None, stamped, BOUNDS), Assessment)
    assert assess(before, None, stamped, BOUNDS).standing is Standing.UNSEEN
