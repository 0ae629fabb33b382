"""Whether an attempt is what one cell lacks and another has over: from what leaves no doubt to what may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from steward.costs.cells import INPUTS, NOTHING, OUTPUT, Quantities, plus, prompt_of
from steward.costs.values import Entered


class Left(NamedTuple):
    """What a cell lacks, or has over."""

    quantities: Quantities
    hidden: Quantities
    """With as much more as attempts that the ledger is not sure of may take from it: as a prompt, plain input."""
    most: int
    """Of the prompt that it may hold."""
    classes: Quantities
    """Above nothing, where it has the class at all: over, or in the ledger's own attempts."""

    @classmethod
    def of(cls, quantities: Quantities, ours: Entered | None, *, is_one_more: bool = False) -> Left:
        """*ours*: the ledger's, of the cell; *is_one_more*: requests were counted there that the ledger does not have."""
        hidden = quantities
        if ours and (ours.estimates or ours.unknown):
            more = [*NOTHING]
            more[0] = max(ours.below[0], ours.above[0]) + ours.reserved[0]
            more[OUTPUT] = max(ours.below[1], ours.above[1]) + ours.reserved[1]
            hidden = plus(quantities, tuple(more))
        # Something has come: then a swap, or a guess, may hide a class of it, and does not without.
        classes = tuple(map(max, quantities, ours.quantities)) if ours and is_one_more else quantities
        return cls(quantities, hidden, prompt_of(hidden), classes)


Fit = Callable[[Quantities, Left, Left], bool]
"""Of an attempt, what one cell lacks, and what the other has."""


def is_all(row: Quantities, lacking: Left, has: Left) -> bool:
    """All that either of them has."""
    return row == lacking.quantities == has.quantities


def is_whole(row: Quantities, lacking: Left, has: Left) -> bool:
    """All that one of them has, and a part of the other."""
    return (row == lacking.quantities and _is_in(row, has.quantities)) or (
        row == has.quantities and _is_in(row, lacking.quantities)
    )


def is_whole_beside_doubtful(row: Quantities, lacking: Left, has: Left) -> bool:
    """All that one of them has, where attempts that nobody is sure of hide a part of it in the other."""
    return (row == lacking.quantities and _is_in(row, has.hidden)) or (
        row == has.quantities and _is_in(row, lacking.hidden)
    )


def is_prompt(row: Quantities, lacking: Left, has: Left) -> bool:
    """By the whole prompt: its classes may be swapped as well, and what streams wrote that were given up is not known."""
    there = prompt_of(lacking.quantities), prompt_of(has.quantities)
    return prompt_of(row) <= min(there) and prompt_of(row) in there


def is_part(row: Quantities, lacking: Left, has: Left) -> bool:
    """Within what both have."""
    return _is_in(row, lacking.quantities) and _is_in(row, has.quantities)


def _is_in(row: Quantities, left: Quantities) -> bool:
    return all(row[index] <= left[index] for index in (*INPUTS, OUTPUT))
