"""The walk gathers what comparing everything at once would, whatever the pages and ranges."""

from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steward.snapshots import lockstep
from steward.snapshots.assessment import Bounds, Commit, Edge, Standing, assess
from steward.snapshots.documents import Document
from steward.snapshots.lockstep import Pace, Views, Walk, common_reach, judge, ranges
from steward.snapshots.views import figures_of


def document(number, id_, text="", version=1):
    return Document(id_, number, 1, version, msgspec.Raw(f'{{"text":"{text}"}}'.encode()))


class Memory:
    """A view that holds its documents."""

    def __init__(self, documents) -> None:
        self.documents = sorted(documents, key=lambda each: each._seq_no)

    def page(self, low, high, size):
        found = self._within(low, high)[:size]
        return found, 100 * len(found)

    def figures(self, low, high):
        return figures_of(self._within(low, high))

    def numbers(self, low, high):
        return {each._seq_no for each in self._within(low, high)}

    def _within(self, low, high):
        return [each for each in self.documents if low <= each._seq_no <= high]


def night_of(seed):
    """Three views of a shard with up to 60 operations: a true history, then perhaps damage to the copy."""
    random = Random(seed)
    history = []
    for number in range(random.randint(1, 60)):
        id_ = random.choice("abcdefghijklmnop")
        history.append((id_, None if random.random() < 0.2 else document(number, id_, str(random.random()))))
    cuts = sorted(random.randint(0, len(history)) for _ in range(3))
    views = []
    for cut in cuts:
        living = dict(history[:cut])
        views.append([each for each in living.values() if each])
    if views[1] and random.random() < 0.5:
        random.choice([views[1].pop, lambda: views[1].append(damaged(views[1].pop()))])()
    complete, local, after = (cut - 1 for cut in cuts)
    bounds = Bounds(Edge(complete, complete, 1), Commit(local, local), Edge(after, after, 1), counted=False)
    return views, bounds, len(history)


def damaged(one):
    return document(one._seq_no, one._id, "damaged")


def at_once(views, bounds):
    """Every document's assessment, from whole views held in memory: the plain way."""
    sides = [{each._id: each.state() for each in view} for view in views]
    found = {id_: assess(*(side.get(id_) for side in sides), bounds) for id_ in set().union(*sides)}
    return {id_: said for id_, said in found.items() if said.reason != "unchanged"}


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 7), st.integers(3, 20))
def test_any_paging_finds_what_a_comparison_at_once_finds(seed, page, span):
    views, bounds, length = night_of(seed)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"RANGE": span, "FIRST_PAGE": page, "LEAST_PAGE": 1, "MOST_PAGE": page}.items():
            patch.setattr(lockstep, name, value)
        walk = Walk(Views(*map(Memory, views)), bounds, pace=Pace(page, page))
        tallies = [walk.walk(low, high) for low, high in ranges(bounds.before.complete, length)]
    said = {id_: each for id_, each in judge(walk, tallies) if each.reason != "unchanged"}
    assert said == at_once(views, bounds)
    assert sum(tally.digest.documents for tally in tallies) == len(views[1])


@given(st.integers(-1, 200), st.integers(-1, 200), st.integers(1, 50))
def test_ranges_cover_every_number_once_and_none_lies_on_both_sides_of_the_bound(complete, end, span):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lockstep, "RANGE", span)
        found = list(ranges(complete, end))
    assert [n for low, high in found for n in range(low, high + 1)] == list(range(end + 1))
    assert not any(low <= complete < high for low, high in found)


def test_a_full_page_ends_the_common_reach():
    full, short = [document(n, str(n)) for n in (1, 2, 3)], [document(n, str(n)) for n in (1, 5)]
    reach, (first, second) = common_reach(9, 3, full, short)
    assert (reach, first, [each._seq_no for each in second]) == (3, full, [1])


def test_what_pit1_alone_shows_below_the_bound_is_called_unsound():
    views = Views(Memory([document(1, "a")]), Memory([document(1, "a")]), Memory([document(0, "b"), document(1, "a")]))
    bounds = Bounds(Edge(1, 1, 1), Commit(1, 1), Edge(1, 1, 1), counted=True)
    walk = Walk(views, bounds)
    assert Standing.UNSOUND in {said.standing for _, said in judge(walk, [walk.walk(0, 1)])}


def test_above_the_most_that_may_differ_only_what_is_certain_is_said():
    originals = [document(n, f"id{n}") for n in range(100)]
    copies = [damaged(each) for each in originals]
    bounds = Bounds(Edge(99, 99, 1), Commit(99, 99), Edge(99, 99, 1), counted=True)
    walk = Walk(Views(Memory(originals), Memory(copies), Memory(originals)), bounds, 10, pace=Pace(5, 5))
    said = list(judge(walk, [walk.walk(0, 99)]))
    assert said[0][1].standing is Standing.UNSOUND
    assert {each.standing for _, each in said[1:]} == {Standing.REFUTED}
    assert 10 < len(said) - 1 < 100


def test_a_commit_older_than_pit0_is_refuted_and_one_younger_than_pit1_is_unsound():
    nothing = Views(Memory([]), Memory([]), Memory([]))
    older = Bounds(Edge(9, 9, 1), Commit(5, 5), Edge(9, 9, 1), counted=True)
    younger = Bounds(Edge(3, 3, 1), Commit(5, 9), Edge(7, 7, 1), counted=True)
    assert [said.standing for _, said in judge(Walk(nothing, older), [])] == [Standing.REFUTED]
    assert [said.standing for _, said in judge(Walk(nothing, younger), [])] == [Standing.UNSOUND]


def test_pages_are_sized_by_bytes():
    pace = Pace(1_000, 1_000)
    pace.learn(span=1_000, documents=500, weight=500 * 100_000)
    assert pace.size == lockstep.LEAST_PAGE
    pace.learn(span=1_000, documents=500, weight=500 * 700)
    assert (pace.size, pace.width) == (lockstep.PAGE_BYTES // 700, 8 * 100)


def test_a_document_cannot_hide_behind_another_of_the_same_number():
    originals = [document(0, "a"), document(1, "b")]
    bounds = Bounds(Edge(1, 1, 1), Commit(1, 1), Edge(1, 1, 1), counted=False)
    for extra in ([document(1, "x"), document(1, "b")], [document(1, "b"), document(1, "x")]):
        walk = Walk(Views(Memory(originals), Memory([document(0, "a"), *extra]), Memory(originals)), bounds)
        said = dict(judge(walk, [walk.walk(0, 1)]))
        assert said["x"].standing is Standing.REFUTED
        assert said["b"].reason == "unchanged"
