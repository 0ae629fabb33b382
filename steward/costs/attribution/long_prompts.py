"""Long prompts, where a report does not tell them: as many tokens as the ledger has at their rate, wherever they were billed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from steward.costs.attribution.rest import Moved
from steward.costs.attribution.sides import at_hour, fold
from steward.costs.causes import Cause
from steward.costs.cells import CLASSES, INPUTS, NOTHING, Cell, Quantities, minus
from steward.costs.values import Entered, Usage


class Part(NamedTuple):
    """What a cause moved of one class."""

    cause: Cause
    cell: Cell
    """With the context at whose rate it is."""
    item: str
    quantity: int
    evidence: str


_INDEX = {item: index for index, item in enumerate(CLASSES)}


class LongPrompts:
    """By cell and class, hour by hour. Where the report tells contexts there are none to be kept here."""

    def __init__(self, entered: Iterable[Entered], usage: Mapping[Cell, Usage]) -> None:
        """Of the day, and the hours beside it."""
        self._usage = usage
        self._long, self._again = Counter[tuple[Cell, str]](), Counter[tuple[Cell, str]]()
        self._told = any(cell.context for cell in usage)
        if self._told:
            return
        for each in entered:
            if each.cell.context == "long":
                self._long.update(
                    {(fold(each.cell), item): n for item, n in zip(CLASSES, each.quantities, strict=True)}
                )

    def billed(self, cell: Cell, item: str) -> int:
        """Of an hour: as many as the ledger has, and no more than the bill, minute by minute where it tells minutes."""
        found = self._by_hour.get((cell, item), set())
        once = sum(max(0, min(self._long[each, item], self._billed(each, item))) for each in found)
        return once + self._again[cell, item]

    @cached_property
    def _by_hour(self) -> Mapping[tuple[Cell, str], set[Cell]]:
        """Where long ones are, once all have been moved."""
        found = defaultdict[tuple[Cell, str], set[Cell]](set)
        for cell, item in self._long:
            found[at_hour(cell), item].add(cell)
        return found

    def parts(self, moved: Sequence[Moved]) -> Iterator[Part]:
        """Class by class. Long ones that a cell has too few tokens for go where the rest of what it lacks goes."""
        carried = Counter[str]()
        for before, each in zip((None, *moved), moved, strict=False):
            arrives = before is not None and each.quantities == minus(NOTHING, before.quantities)
            carried = self._carry(each, carried if arrives else None)
            for item, quantity in zip(CLASSES, each.quantities, strict=True):
                if base := quantity - carried[item]:
                    yield Part(each.cause, each.cell, item, base, each.evidence)
                if carried[item]:
                    yield Part(each.cause, each.cell._replace(context="long"), item, carried[item], each.evidence)

    def _carry(self, moved: Moved, left: Counter[str] | None) -> Counter[str]:
        """How many of the moved tokens, by class, are long ones. *left*: those that another cell lost to this one."""
        cell = moved.cell
        if moved.again:
            return self._once_more(cell)
        if moved.context and not self._told:
            return self._counted(cell, moved.quantities if moved.context == "long" else NOTHING)
        found = Counter(
            {
                item: -min(-quantity, self._too_many(cell, item)) if quantity < 0 else -left[item] if left else 0
                for item, quantity in zip(CLASSES, moved.quantities, strict=True)
            }
        )
        if left is None:
            self._swap(moved, found)
        for item, quantity in found.items():
            self._long[cell, item] += quantity
        return found

    def _once_more(self, cell: Cell) -> Counter[str]:
        """As many as the cell has."""
        found = Counter({item: self.billed(cell, item) for item in CLASSES})
        self._again.update({(cell, item): units for item, units in found.items()})
        return found

    def _counted(self, cell: Cell, quantities: Quantities) -> Counter[str]:
        """Of an attempt that is known: all of it, or nothing."""
        found = Counter[str]()
        for item, quantity in zip(CLASSES, quantities, strict=True):
            found[item] = quantity
            self._long[cell, item] += quantity
        return found

    def _too_many(self, cell: Cell, item: str) -> int:
        return max(0, self._long[cell, item] - self._billed(cell, item))

    def _billed(self, cell: Cell, item: str) -> int:
        found = self._usage.get(cell)
        return found.quantities[_INDEX[item]] if found else 0

    @staticmethod
    def _swap(moved: Moved, found: Counter[str]) -> None:
        """What one class of input loses to another stays long."""
        lost = -sum(found[CLASSES[index]] for index in INPUTS)
        for index in INPUTS:
            if moved.quantities[index] > 0:
                found[CLASSES[index]] = part = min(lost, moved.quantities[index])
                lost -= part
