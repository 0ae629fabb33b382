"""What a bill has twice: an hour as a whole, and an attempt by itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

from steward.costs.attribution.rest import Rest
from steward.costs.attribution.sides import LedgerSide
from steward.costs.causes import Cause
from steward.costs.cells import HOUR, OUTPUT, Cell, prompt_of
from steward.costs.values import Attempt, Entered, Usage

#: Figures of an hour that are all even: by accident once in so many powers of two.
_FIGURES = 16
#: Times of what the ledger has: nearer to twice than to once.
_NEARER_TWICE = 1.5


def hours_stated_twice(usage: Mapping[Cell, Usage], entered: Mapping[Cell, Entered]) -> frozenset[int]:
    """Hours of which the bill has everything twice: every figure is even, and the half of it is near the ledger."""
    figures, ours, theirs = defaultdict[int, list[int]](list), defaultdict[int, int](int), defaultdict[int, int](int)
    for each in usage.values():
        theirs[each.cell.hour] += prompt_of(each.quantities)
        # What is cached is even by itself: it goes by blocks.
        figures[each.cell.hour] += [each.quantities[0], each.quantities[OUTPUT], each.requests or 0]
    for each in entered.values():
        ours[each.cell.hour] += prompt_of(each.quantities)
    return frozenset(
        hour
        for hour, found in figures.items()
        if not any(each % 2 for each in found)
        and sum(1 for each in found if each) >= _FIGURES
        and theirs[hour] > _NEARER_TWICE * ours[hour]
    )


def stated_once(usage: Collection[Usage], twice: Collection[int], known: Collection[str]) -> Iterator[Usage]:
    """Half of what these hours state of *known* keys, and all of the others."""
    for each in usage:
        if each.cell.hour // HOUR * HOUR in twice and each.cell.key in known:
            requests = None if each.requests is None else each.requests // 2
            yield Usage(each.cell, tuple(quantity // 2 for quantity in each.quantities), requests)
        else:
            yield each


def explain_stated_twice(rest: Rest, side: LedgerSide) -> None:
    """An attempt of the cell once more: its prompt, and what it wrote, as far as streams of the cell do not hide it."""
    over = [cell for cell in rest if prompt_of(rest[cell]) > 0 and rest.requests(cell) in {None, 1}]
    found = dict[Cell, Attempt]()
    for row in sorted(side.attempts(over), key=lambda each: each.attempt):
        if row.cell not in found and _is_again(rest, row, side.entered.get(row.cell)):
            found[row.cell] = row
    for cell, row in found.items():
        evidence = f"attempt {row.attempt} once more"
        rest.take(Cause.STATED_TWICE, cell, row.quantities, evidence, requests=1, context=row.context)


def _is_again(rest: Rest, row: Attempt, ours: Entered | None) -> bool:
    left, wrote = rest[row.cell], row.quantities[OUTPUT]
    unseen, below = (ours.above[1], ours.below[1]) if ours else (0, 0)
    return prompt_of(row.quantities) == prompt_of(left) and left[OUTPUT] - unseen <= wrote <= left[OUTPUT] + below
