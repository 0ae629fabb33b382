"""Files that several runs share: each is run once, whole, by one of them."""

from __future__ import annotations

import random

import pytest

from tests import lanes


class Item:
    def __init__(self, nodeid: str, *marks: str) -> None:
        self.nodeid, self._marks = nodeid, marks

    def get_closest_marker(self, name):
        return name if name in self._marks else None


def collected():
    """As pytest has them: each run its own."""
    shared = [Item(f"tests/{file}.py::test_{n}", "without_search") for file in "abcdef" for n in range(5)]
    return [*shared, Item("tests/a.py::test_with_search"), Item("tests/z.py::test_with_search")]


@pytest.mark.parametrize("seed", range(5))
def test_each_shared_file_is_run_once_and_whole_by_one_of_the_runs(tmp_path, seed):
    chance, folder = random.Random(seed), tmp_path / "taken"
    runs = [lanes.taken(collected()[:30], folder) for _ in range(3)]
    ran = {run: [] for run in runs}
    while runs:
        run = chance.choice(runs)
        if item := next(run, None):
            ran[run].append(item.nodeid)
        else:
            runs.remove(run)
    assert sorted(nodeid for each in ran.values() for nodeid in each) == sorted(
        each.nodeid for each in collected()[:30]
    )
    files = [{nodeid.partition("::")[0] for nodeid in each} for each in ran.values()]
    assert sum(map(len, files)) == len(set.union(*files)) == 6


def test_what_is_not_shared_is_run_by_everybody_who_has_it_and_first(tmp_path):
    items = collected()
    lanes.order(items)
    assert [each.nodeid for each in items[:2]] == ["tests/a.py::test_with_search", "tests/z.py::test_with_search"]
    assert len(list(lanes.taken(items, tmp_path))) == 32
    assert len(list(lanes.taken(collected(), tmp_path))) == 2
