"""What is not explained yet: by cell, and what was taken from it, by cause."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from steward.costs.causes import Cause
from steward.costs.cells import CLASSES, NOTHING, Cell, Quantities


@dataclass(frozen=True, slots=True)
class Moved:
    """Quantities of a cell that a cause explains."""

    cause: Cause
    cell: Cell
    quantities: Quantities
    evidence: str
    context: str = ""
    """Of an attempt whose size tells it, where the cell does not."""
    again: bool = False
    """All of the cell once more, beside the differences."""


class Rest:
    """Billed less entered, cell by cell, as far as nothing explains it."""

    def __init__(self, differences: Mapping[Cell, Quantities], requests: Mapping[Cell, int]) -> None:
        """*requests*: billed less entered, where the provider counts them."""
        self._left = {cell: list(each) for cell, each in differences.items() if any(each)}
        self._order: list[Cell] | None = None
        self._requests = dict(requests)
        self.moved: list[Moved] = []

    def __iter__(self) -> Iterator[Cell]:
        """Cells with anything left, in order: what is found does not depend on how pages came."""
        if self._order is None:
            self._order = sorted(self._left)
        return iter([cell for cell in self._order if cell in self._left])

    def __getitem__(self, cell: Cell) -> Quantities:
        left = self._left.get(cell)
        return tuple(left) if left else NOTHING

    def requests(self, cell: Cell) -> int | None:
        """How many more were billed than entered; None: the provider does not count them."""
        return self._requests.get(cell)

    def take(
        self, cause: Cause, cell: Cell, quantities: Quantities, evidence: str, *, requests: int = 0, context: str = ""
    ) -> None:
        """*cause* explains so much of *cell*."""
        left = self._left.get(cell)
        if left is None:
            left = self._left[cell] = [0] * len(CLASSES)
            self._order = None
        for index, quantity in enumerate(quantities):
            left[index] -= quantity
        if not any(left):
            del self._left[cell]
        if cell in self._requests:
            self._requests[cell] -= requests
        self.moved.append(Moved(cause, cell, quantities, evidence, context))

    def add(self, cause: Cause, cell: Cell, quantities: Quantities, evidence: str) -> None:
        """What *cause* explains beside the differences that this was made of: all of a cell once more, after all that has moved."""
        self.moved.append(Moved(cause, cell, quantities, evidence, again=True))

    def by_group(self, *names: str) -> list[list[Cell]]:
        """Cells with anything left that differ in *names* only, two or more of them together."""
        groups: dict[Cell, list[Cell]] = defaultdict(list)
        for cell in self:
            groups[cell._replace(**dict.fromkeys(names, ""))].append(cell)
        return [cells for cells in groups.values() if len(cells) > 1]
