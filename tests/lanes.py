"""Test files that several runs of pytest share, `--shared DIR`: whoever comes to one first runs it.

So the lanes of `make test` end together on any machine, and no list says who runs what. A folder like integration/gateway is
taken whole, for its tests share what takes long to lay. What is not marked `without_search` is not shared, and runs first;
of what is shared, files that are marked `long` do, or whoever comes to one last works on while all others have ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest


def order(items: list[pytest.Item]) -> None:
    """What only this run can do comes first, then what takes long; otherwise as it was."""
    items.sort(key=lambda item: (_is_shared(item), not _is_long(item)))


def run(session: pytest.Session, folder: Path) -> None:
    """As pytest does, with those items alone that are this run's."""
    mine = taken(session.items, folder)
    item = next(mine, None)
    while item is not None:
        # Taken before this one ends: what pytest tears down with it depends on what comes next.
        following = next(mine, None)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
        item = following


def taken(items: Iterable[pytest.Item], folder: Path) -> Iterator[pytest.Item]:
    """Those of *items* that are not shared, and those of files and folders that nobody took before."""
    mine = dict[str, bool]()
    for item in items:
        if not _is_shared(item):
            yield item
            continue
        if (whole := _whole(item)) not in mine:
            mine[whole] = _take(folder / whole)
        if mine[whole]:
            yield item


def _whole(item: pytest.Item) -> str:
    """The file of *item*, or its folder below tests/KIND."""
    return "+".join(item.nodeid.partition("::")[0].split("/")[:3])


def _is_shared(item: pytest.Item) -> bool:
    return item.get_closest_marker("without_search") is not None


def _is_long(item: pytest.Item) -> bool:
    return item.get_closest_marker("long") is not None


def _take(mark: Path) -> bool:
    mark.parent.mkdir(exist_ok=True)
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
