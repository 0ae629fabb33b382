"""A table gone through, page by page, until no row is under an old key.

Several threads take parts of the table; each part that is done is recorded, so that another attempt goes on behind it.
A batch is read, moved to current keys here, and put back where the row still is what was read: a write of the
application's in between wins, and is under current keys already.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from steward.keys.columns import EncryptedTable
from steward.keys.moving import Damaged, RowMover
from steward.keys.pace import Pace, give_way

#: Pages of a part: 8 MB, a second's work.
PART_PAGES = 1024
#: Pages read at a time: some hundreds of rows.
BATCH_PAGES = 32
#: Rows that are locked at a time, for some milliseconds.
REPLACED_ROWS = 100

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Part:
    """Pages [first, beyond) of one relation."""

    leaf: str
    first: int
    beyond: int


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of rows."""

    read: int = 0
    replaced: int = 0
    overtaken: int = 0
    """Changed or held by somebody else meanwhile; the next pass looks at them."""
    damaged: int = 0
    resting_seconds: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.read + other.read,
            self.replaced + other.replaced,
            self.overtaken + other.overtaken,
            self.damaged + other.damaged,
            self.resting_seconds + other.resting_seconds,
        )


class Rows(Protocol):
    """What a sweep asks of the application's database (steward/clients/encrypted_rows.py)."""

    def batch(self, table: EncryptedTable, leaf: str, pages: range, ids: tuple[bytes, bytes]) -> list[Any]:
        """Rows on *pages* with something under a key id from *ids*, the lowest and the highest."""
        ...

    def replace(self, table: EncryptedTable, leaf: str, replacements: Sequence[tuple[Any, Any]]) -> int | None:
        """How many were still what was read, and are replaced; None: somebody holds one of them."""
        ...


@dataclass(frozen=True, slots=True)
class Sweep:
    """One table under one set of old keys."""

    table: EncryptedTable
    old_ids: frozenset[bytes]
    """As ciphertexts have them; not empty."""
    mover: RowMover
    pace: Pace
    guard: Callable[[], None]
    """Raises where the operation is another's by now."""

    def part(self, rows: Rows, part: Part) -> Tally:
        """Go through *part*."""
        tally, ids = Tally(), (min(self.old_ids), max(self.old_ids))
        for first in range(part.first, part.beyond, BATCH_PAGES):
            began = time.monotonic()
            batch = rows.batch(self.table, part.leaf, range(first, min(first + BATCH_PAGES, part.beyond)), ids)
            tally += self._moved(rows, part.leaf, batch)
            rest = self.pace.rest_seconds(time.monotonic() - began) if batch else 0.0
            if rest:
                time.sleep(rest)
                tally += Tally(resting_seconds=rest)
        return tally

    def _moved(self, rows: Rows, leaf: str, batch: Sequence[Any]) -> Tally:
        tally = Tally(read=len(batch))
        for start in range(0, len(batch), REPLACED_ROWS):
            replacements, damaged = self._replacements(batch[start : start + REPLACED_ROWS])
            if replacements:
                self.guard()
                tally += _put(rows, self.table, leaf, replacements)
            tally += Tally(damaged=len(damaged))
        return tally

    def _replacements(self, batch: Sequence[Any]) -> tuple[list[tuple[Any, Any]], list[Damaged]]:
        replacements: list[tuple[Any, Any]] = []
        found: list[Damaged] = []
        for row in batch:
            # Between the lowest and the highest old id there are other tenants' current ones.
            if self.old_ids.isdisjoint(self.mover.key_ids(row)):
                continue
            sealed, damaged = self.mover.moved(row)
            if sealed != row.sealed:
                replacements.append((row, sealed))
            found += damaged
        return replacements, found


def _put(rows: Rows, table: EncryptedTable, leaf: str, replacements: Sequence[tuple[Any, Any]]) -> Tally:
    """Where somebody holds a row, in halves, until that row is alone: the rest need not wait for it."""
    replaced = rows.replace(table, leaf, replacements)
    if replaced is not None:
        return Tally(replaced=replaced, overtaken=len(replacements) - replaced)
    if len(replacements) == 1:
        return Tally(overtaken=1)
    half = len(replacements) // 2
    return _put(rows, table, leaf, replacements[:half]) + _put(rows, table, leaf, replacements[half:])


def parts_of(leaf: str, pages: int) -> Iterator[Part]:
    """All of a relation that has so many pages."""
    for first in range(0, pages, PART_PAGES):
        yield Part(leaf, first, min(first + PART_PAGES, pages))


def side_by_side(
    parts: Sequence[Part],
    threads: int,
    opened: Callable[[], AbstractContextManager[R]],
    work: Callable[[R, Part], Tally],
) -> Tally:
    """Do *work* on every part in *threads*, each with *opened* rows of its own; the first error ends all of them."""
    waiting, taking = list(reversed(parts)), threading.Lock()

    def take() -> Part | None:
        with taking:
            return waiting.pop() if waiting else None

    def take_all() -> Tally:
        tally = Tally()
        with opened() as rows:
            while part := take():
                tally += work(rows, part)
        return tally

    with ThreadPoolExecutor(threads, thread_name_prefix="sweep", initializer=give_way) as pool:
        # In the caller's context: whose operation it is goes with it.
        running = [pool.submit(copy_context().run, take_all) for _ in range(min(threads, len(parts)))]
        try:
            return sum((each.result() for each in running), Tally())
        except BaseException:
            with taking:
                waiting.clear()
            raise
