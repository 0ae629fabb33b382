"""The bill's side and the ledger's, cell by cell: by the hour; and by the minute, where hours differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from steward.costs.cells import HOUR, NOTHING, OUTPUT, Cell, Quantities, minus, plus, prompt_of
from steward.costs.rest import Rest
from steward.costs.values import Entered, LedgerDay, Usage


@dataclass(frozen=True)
class LedgerSide:
    """What the ledger has, told apart as the bill does."""

    ledger: LedgerDay
    folded: bool
    """The bill does not tell at which context's rate a prompt is billed."""
    width: int

    @cached_property
    def entered(self) -> Mapping[Cell, Entered]:
        """By cell."""
        if not self.folded:
            return {each.cell: each for each in self.ledger.entered}
        found: dict[Cell, Entered] = {}
        for each in self.ledger.entered:
            cell = fold(each.cell)
            found[cell] = _sum(found[cell], each) if cell in found else _sum(Entered(cell, NOTHING, 0), each)
        return found

    def by_minute(self, hours: Collection[Cell], width: int) -> LedgerSide:
        """Of these hours alone."""
        return LedgerSide(self.ledger.by_minute(hours), self.folded, width)

    def less_than(self, billed: Mapping[Cell, Usage]) -> Rest:
        """What was billed less what the ledger has."""
        differences: dict[Cell, Quantities] = {}
        requests: dict[Cell, int] = {}
        counts = any(each.requests is not None for each in billed.values())
        for cell in billed.keys() | self.entered.keys():
            usage, ours = billed.get(cell), self.entered.get(cell)
            differences[cell] = minus(usage.quantities if usage else NOTHING, ours.quantities if ours else NOTHING)
            if counts:
                requests[cell] = ((usage.requests or 0) if usage else 0) - (ours.requests if ours else 0)
        return Rest(differences, requests)


def fold(cell: Cell) -> Cell:
    """As a report has it that does not tell at which context's rate a prompt is billed."""
    return cell._replace(context="")


def at_hour(cell: Cell) -> Cell:
    """The hour that a minute is of."""
    return Cell(cell[0], cell[1] // HOUR * HOUR, *cell[2:])


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
            found[cell] = Usage(cell, each.quantities, each.requests)
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
