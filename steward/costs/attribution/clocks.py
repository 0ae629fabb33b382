"""Attempts at the turn of an hour whose clocks differ: one clock is late, or early, by so much for all that it enters.

Taken one by one, attempts of a busy hour fit in many ways. Together they fit in one: up to one second before the turn (or after
it), the same for all keys and models, everything is billed on the other side of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from math import ceil
from typing import NamedTuple

from steward.costs.attribution.rest import Rest
from steward.costs.attribution.sides import LedgerSide, at_hour
from steward.costs.causes import Cause
from steward.costs.cells import HOUR, NOTHING, Cell, minus, prompt_of
from steward.costs.values import Attempt

#: How far from its hour's end an attempt may have been entered to be looked for in the next one.
EDGE_SECONDS = 60
#: Of what differs on the two sides of the turn, so much may be left at the most: a clock explains most of it, or nothing.
_LEFT = 0.5


class _Turn(NamedTuple):
    """Of an hour, as a clock sees it that is late (or early)."""

    moment: int
    late: bool

    @property
    def last(self) -> int:
        """A second on the side that attempts were entered on."""
        return self.moment - 1 if self.late else self.moment

    def seconds(self, row: Attempt) -> float:
        """How far from it an attempt was entered."""
        return self.moment - row.at if self.late else row.at - self.moment


def explain_clocks(rest: Rest, side: LedgerSide) -> frozenset[str]:
    """Of hours that are compared as such. Which attempts have moved."""
    moments = sorted({hour + each for hour in side.whole for each in (0, HOUR)})
    turns = [_Turn(moment, late) for moment in moments for late in (True, False)]
    entered = _rows(side, {side.place(turn.last) for turn in turns})
    moved = set[str]()
    for turn in turns:
        other = side.after if turn.late else side.before
        rows = sorted(
            (row for row in entered[side.place(turn.last)] if 0 <= turn.seconds(row) <= EDGE_SECONDS),
            key=lambda row: (turn.seconds(row), row.attempt),
        )
        rows = [row for row in rows if row.attempt not in moved]
        rows = rows[: _most_equal(rest, rows, other)]
        for row in rows:
            _take(rest, row, other(row.cell), _told(turn, rows[-1]))
        moved |= {row.attempt for row in rows}
    return frozenset(moved)


def _rows(side: LedgerSide, places: set[int]) -> dict[int, list[Attempt]]:
    """Attempts, by the hour or minute that they were entered in."""
    found = defaultdict[int, list[Attempt]](list)
    if places:
        for row in side.attempts([cell for cell in side.entered if cell.hour in places]):
            found[row.cell.hour].append(row)
    return found


def _most_equal(rest: Rest, rows: Sequence[Attempt], other: Callable[[Cell], Cell]) -> int:
    """After how many of *rows*, moved one after the other, the two sides of the turn are most alike; 0: they do not get so."""
    if not rows:
        return 0
    there = {at_hour(each).hour for each in (rows[0].cell, other(rows[0].cell))}
    apart = _Apart()
    for cell in rest:
        if at_hour(cell).hour in there:
            apart.add(cell, rest.requests(cell) or 0, prompt_of(rest[cell]))
    found = [apart.sums]
    for row in rows:
        prompt = prompt_of(row.quantities)
        apart.add(row.cell, 1, prompt)
        apart.add(other(row.cell), -1, -prompt)
        found.append(apart.sums)
    # Requests are told apart best: a prompt may be guessed.
    leading = 0 if any(rest.requests(cell) is not None for cell in rest) else 1
    least = min(found, key=lambda sums: sums[leading:])
    return found.index(least) if least[leading] <= _LEFT * found[0][leading] else 0


class _Apart:
    """Requests and prompts by which the two sides differ, model by model, without signs."""

    def __init__(self) -> None:
        self._differences: dict[Cell, tuple[int, int]] = {}
        self.sums = (0, 0)

    def add(self, cell: Cell, requests: int, prompt: int) -> None:
        """To what was billed more than entered."""
        # By the hour, at whatever tier it is billed.
        cell = at_hour(cell)._replace(tier="", context="")
        before = self._differences.get(cell, (0, 0))
        after = (before[0] + requests, before[1] + prompt)
        self._differences[cell] = after
        self.sums = (
            self.sums[0] + abs(after[0]) - abs(before[0]),
            self.sums[1] + abs(after[1]) - abs(before[1]),
        )


def _take(rest: Rest, row: Attempt, other: Cell, evidence: str) -> None:
    told = f"attempt {row.attempt}, {evidence}"
    lost = minus(NOTHING, row.quantities)
    rest.take(Cause.BOUNDARY_SHIFT, row.cell, lost, told, requests=-1, context=row.context)
    rest.take(Cause.BOUNDARY_SHIFT, other, row.quantities, told, requests=1, context=row.context)


def _told(turn: _Turn, last: Attempt) -> str:
    seconds = ceil(turn.seconds(last))
    if turn.late:
        return f"entered in the last {seconds} s of its hour, all of which are billed in the next one"
    return f"entered in the first {seconds} s of its hour, all of which are billed in the one before"
