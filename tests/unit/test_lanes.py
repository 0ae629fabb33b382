"""What several runs share: each file, and each folder, is run once, whole, by one of them."""

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
    files = ["flows/a", "flows/b", "flows/c", "integration/d", "integration/folder/e", "integration/folder/f"]
    shared = [Item(f"tests/{file}.py::test_{n}", "without_search") for file in files for n in range(5)]
    return [*shared, Item("tests/flows/a.py::test_with_search"), Item("tests/flows/z.py::test_with_search")]


def wholes(nodeids):
    return {nodeid.partition("::")[0].replace("/e.py", "").replace("/f.py", "") for nodeid in nodeids}


@pytest.mark.parametrize("seed", range(5))
def test_each_shared_file_and_folder_is_run_once_and_whole_by_one_of_the_runs(tmp_path, seed):
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
    taken = [wholes(each) for each in ran.values()]
    assert sum(map(len, taken)) == len(set.union(*taken)) == 5


def test_of_what_is_shared_what_takes_long_comes_first():
    items = [*collected(), Item("tests/integration/z.py::test_long", "without_search", "long")]
    lanes.order(items)
    assert [each.nodeid for each in items[2:4]] == ["tests/integration/z.py::test_long", "tests/flows/a.py::test_0"]


def test_what_is_not_shared_is_run_by_everybody_who_has_it_and_first(tmp_path):
    items = collected()
    lanes.order(items)
    assert [each.nodeid for each in items[:2]] == [
        "tests/flows/a.py::test_with_search",
        "tests/flows/z.py::test_with_search",
    ]
    assert len(list(lanes.taken(items, tmp_path))) == 32
    assert len(list(lanes.taken(collected(), tmp_path))) == 2
