"""Attempts that nobody misses, for something else came to the cell that they were entered in.

Where they were billed they are all that is over, to the last token. That alone would be no proof: what their own cell has over
without them has to have a cause as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator

from steward.costs.attribution.rest import Rest
from steward.costs.attribution.sides import LedgerSide
from steward.costs.causes import Cause
from steward.costs.cells import NOTHING, OUTPUT, SEARCHES, Cell, Quantities, minus, plus, prompt_of
from steward.costs.values import Attempt, Entered

#: As what an attempt of the first cell may be billed in the second, which is of the same project and key.
Kind = Callable[[Attempt, Cell], Cause | None]


def find_hidden(
    rest: Rest, side: LedgerSide, kind: Kind, gone: Collection[str]
) -> Iterator[tuple[Attempt, Cause, Cell]]:
    """Attempts, and where they were billed; none where two would be it. *gone*: attempts that have moved."""
    over = [cell for cell in rest if _is_one_over(rest, side, cell)]
    if not over:
        return
    near = {cell: _near(side, cell) for cell in over}
    rows = defaultdict[_Place, list[Attempt]](list)
    for row in side.attempts(_cells_at(side, {place for places in near.values() for place in places})):
        if row.attempt not in gone:
            rows[_place(row.cell)].append(row)
    for cell in over:
        found = [
            (row, cause)
            for place in near[cell]
            for row in rows[place]
            if is_same(row, rest[cell]) and (cause := kind(row, cell)) is not None
        ]
        if len(found) == 1 and _has_cause(rest, side, found[0][0], cell):
            yield *found[0], cell


def is_same(row: Attempt, quantities: Quantities) -> bool:
    """To the last token: searches have a cause of their own."""
    return row.quantities[:SEARCHES] == quantities[:SEARCHES]


def _is_one_over(rest: Rest, side: LedgerSide, cell: Cell) -> bool:
    """It has what may be one attempt, and none of its own that nobody is sure of: that one would be it as well."""
    ours = side.entered.get(cell)
    return prompt_of(rest[cell]) > 0 and rest.requests(cell) in {None, 1} and not (ours and ours.unknown)


_Place = tuple[int, str, str]
"""Hour or minute, project and key."""


def _place(cell: Cell) -> _Place:
    return cell.hour, cell.project, cell.key


def _near(side: LedgerSide, cell: Cell) -> tuple[_Place, ...]:
    return _place(cell), _place(side.before(cell)), _place(side.after(cell))


def _cells_at(side: LedgerSide, places: Collection[_Place]) -> list[Cell]:
    return [cell for cell in side.entered if _place(cell) in places]


def _has_cause(rest: Rest, side: LedgerSide, row: Attempt, cell: Cell) -> bool:
    """What is over in the attempt's own cell without it: of attempts that nobody is sure of, or what another cell lacks."""
    left, requests, ours = plus(rest[row.cell], row.quantities), rest.requests(row.cell), side.entered[row.cell]
    if _is_within(left, ours) and (requests is None or 0 <= requests + 1 <= ours.unknown):
        return True
    near = _near(side, row.cell)
    return any(
        rest[other] == minus(NOTHING, left) for other in rest if _place(other) in near and other not in {row.cell, cell}
    )


def _is_within(left: Quantities, ours: Entered) -> bool:
    """What its attempts without an end, and its streams that broke off, may come to."""
    prompt = -ours.below[0] <= prompt_of(left) <= ours.above[0] + ours.reserved[0]
    return prompt and -ours.below[1] <= left[OUTPUT] <= ours.above[1] + ours.reserved[1]
