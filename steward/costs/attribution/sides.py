"""The bill's side and the ledger's, cell by cell: by the hour; and by the minute, where hours differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from steward.costs.attribution.rest import Rest
from steward.costs.cells import HOUR, NOTHING, OUTPUT, Cell, Quantities, minus, plus, prompt_of
from steward.costs.values import Attempt, Entered, LedgerDay, Usage


@dataclass(frozen=True)
class LedgerSide:
    """What the ledger has, told apart as the bill does."""

    ledger: LedgerDay
    folded: bool
    """The bill does not tell at which context's rate a prompt is billed."""
    width: int
    """Seconds."""
    whole: frozenset[int] = frozenset()
    """Hours that are compared as such, though others are by the minute."""

    def place(self, moment: float) -> int:
        """When the hour, or minute, begins in which a moment is."""
        hour = int(moment) // HOUR * HOUR
        return hour if hour in self.whole else int(moment) // self.width * self.width

    def placed(self, cell: Cell) -> Cell:
        """The cell that a minute is of."""
        return _at(cell, self.place(cell.hour))

    def after(self, cell: Cell) -> Cell:
        """The hour, or minute, after it."""
        return _at(cell, cell.hour + (HOUR if cell.hour in self.whole else self.width))

    def before(self, cell: Cell) -> Cell:
        """The hour, or minute, before it."""
        return _at(cell, self.place(cell.hour - 1))

    def told(self, cell: Cell) -> Cell:
        """As the bill has it."""
        return fold(cell) if self.folded else cell

    def attempts(self, cells: Collection[Cell]) -> Iterator[Attempt]:
        """The settled ones of these cells, which are theirs."""
        for each in self.ledger.attempts(cells):
            if self.folded:
                yield Attempt(fold(each.cell), each.at, each.quantities, each.attempt, each.cell.context)
            else:
                yield each

    @cached_property
    def entered(self) -> Mapping[Cell, Entered]:
        """By cell."""
        if not self.folded:
            return {each.cell: each for each in self.ledger.entered}
        found: dict[Cell, Entered] = {}
        for each in self.ledger.entered:
            cell = fold(each.cell)
            before = found.get(cell)
            found[cell] = replace(each, cell=cell) if before is None else _sum(before, each)
        return found

    def by_minute(self, hours: Collection[Cell], width: int, whole: frozenset[int] = frozenset()) -> LedgerSide:
        """Of these hours alone; those of *whole* stay as they are."""
        closer = self.ledger.by_minute([cell for cell in hours if cell.hour not in whole])
        kept = frozenset(cell for cell in hours if cell.hour in whole)
        return LedgerSide(Mixed(self.ledger, closer, kept, whole) if whole else closer, self.folded, width, whole)

    def less_than(self, billed: Mapping[Cell, Usage]) -> Rest:
        """What was billed less what the ledger has."""
        differences: dict[Cell, Quantities] = {}
        requests: dict[Cell, int] = {}
        counts = any(each.requests is not None for each in billed.values())
        for cell, usage in billed.items():
            ours = self.entered.get(cell)
            if ours is None or ours.quantities != usage.quantities:
                differences[cell] = minus(usage.quantities, ours.quantities if ours else NOTHING)
            if counts:
                requests[cell] = (usage.requests or 0) - (ours.requests if ours else 0)
        for cell, ours in self.entered.items():
            if cell not in billed:
                differences[cell] = minus(NOTHING, ours.quantities)
                if counts:
                    requests[cell] = -ours.requests
        return Rest(differences, requests)


class Mixed:
    """Some hours as such, the others by the minute. As `LedgerDay`."""

    def __init__(self, hourly: LedgerDay, closer: LedgerDay, cells: Collection[Cell], whole: Collection[int]) -> None:
        """*cells*: of the hours in *whole*; one without a context stands for all of them."""
        self._hourly, self._closer, self._whole = hourly, closer, whole
        kept = [each for each in hourly.entered if each.cell in cells or fold(each.cell) in cells]
        self._entered = [*kept, *closer.entered]

    @property
    def entered(self) -> Sequence[Entered]:
        """Of both kinds."""
        return self._entered

    def attempts(self, cells: Collection[Cell]) -> Sequence[Attempt]:
        """Of both kinds."""
        hours = [cell for cell in cells if cell.hour in self._whole]
        minutes = [cell for cell in cells if cell.hour not in self._whole]
        return [*self._hourly.attempts(hours), *self._closer.attempts(minutes)]

    def by_minute(self, cells: Collection[Cell]) -> LedgerDay:
        """All of them."""
        return self._hourly.by_minute(cells)


def fold(cell: Cell) -> Cell:
    """As a report has it that does not tell at which context's rate a prompt is billed."""
    return Cell(*cell[:-1], "")


def at_hour(cell: Cell) -> Cell:
    """The hour that a minute is of."""
    return _at(cell, cell.hour // HOUR * HOUR)


def _at(cell: Cell, begin: int) -> Cell:
    # As `_replace` does, in a fraction of its time: a day has hundreds of thousands.
    return cell if cell.hour == begin else Cell(cell.account, begin, *cell[2:])


@dataclass(frozen=True)
class Usual:
    """What attempts of a model come to, by the mean of the day."""

    prompt: float
    output: float
    cached: float
    """Share of the prompt that is not plain input."""


def usual(side: LedgerSide) -> Mapping[str, Usual]:
    """By model."""
    sums = defaultdict[str, list[int]](lambda: [0, 0, 0, 0])
    for each in side.entered.values():
        prompt = prompt_of(each.quantities)
        found = (each.requests, prompt, each.quantities[OUTPUT], prompt - each.quantities[0])
        sums[each.cell.model] = [a + b for a, b in zip(sums[each.cell.model], found, strict=True)]
    return {
        model: Usual(prompt / requests, output / requests, cached / prompt)
        for model, (requests, prompt, output, cached) in sums.items()
        if requests and prompt
    }


def by_cell(usage: Iterable[Usage], at: Callable[[Cell], Cell] = at_hour) -> dict[Cell, Usage]:
    """Hour by hour; or as *at* says."""
    found: dict[Cell, Usage] = {}
    for each in usage:
        cell = at(each.cell)
        before = found.get(cell)
        if before is None:
            found[cell] = each if cell is each.cell else Usage(cell, each.quantities, each.requests)
        else:
            requests = None if each.requests is None else each.requests + (before.requests or 0)
            found[cell] = Usage(cell, plus(before.quantities, each.quantities), requests)
    return found


def _sum(left: Entered, right: Entered) -> Entered:
    def pair(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
        return one[0] + other[0], one[1] + other[1]

    return Entered(
        cell=left.cell,
        quantities=plus(left.quantities, right.quantities),
        requests=left.requests + right.requests,
        estimates=left.estimates + right.estimates,
        below=pair(left.below, right.below),
        above=pair(left.above, right.above),
        unknown=left.unknown + right.unknown,
        reserved=pair(left.reserved, right.reserved),
    )
