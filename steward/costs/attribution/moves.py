"""Attempts that are billed elsewhere than they were entered: in the hour beside it, at another tier, as another model.

An attempt moves as a whole. Which one it was tells its prompt: hardly two of a cell have the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from steward.costs.attribution.clocks import EDGE_SECONDS, explain_clocks
from steward.costs.attribution.fits import Fit, Left, is_all, is_part, is_prompt, is_whole, is_whole_beside_doubtful
from steward.costs.attribution.hidden import find_hidden, is_same
from steward.costs.attribution.rest import Rest
from steward.costs.attribution.sides import LedgerSide, at_hour
from steward.costs.causes import Cause
from steward.costs.cells import INPUTS, NOTHING, OUTPUT, Cell, Quantities, minus, prompt_of
from steward.costs.values import Attempt

#: What a move lays bare is looked at again, so often.
_ROUNDS = 3


def explain_moves(rest: Rest, side: LedgerSide) -> None:
    """What a clock moved; one by one, what fits best first; then all together what one cell lacks and another has."""
    gone, rows = set(explain_clocks(rest, side)), dict[Cell, list[Attempt]]()
    for _ in range(_ROUNDS):
        before = len(rest.moved)
        # What a move has laid bare may be of a cell that did not seem to lack anything.
        rows |= _rows_of_lacking(rest, side, gone, but=rows)
        for fits in (is_all, is_whole):
            _move_rows(rest, side, rows, fits, gone)
        _move_equals(rest, side, rows)
        for fits in (is_whole_beside_doubtful, is_prompt, is_part):
            _move_rows(rest, side, rows, fits, gone)
        for names, cause in (("context",), Cause.LONG_CONTEXT), (("tier",), Cause.SERVED_TIER):
            for cells in rest.by_group(*names):
                _move_all(rest, side, cells, cause, names[0])
        for cells in rest.by_group("model", "context"):
            _move_all(rest, side, cells, Cause.BILLED_MODEL, "model")
        if len(rest.moved) == before and not _move_hidden(rest, side, gone):
            return


def _rows_of_lacking(
    rest: Rest, side: LedgerSide, gone: Collection[str], but: Collection[Cell]
) -> dict[Cell, list[Attempt]]:
    """Of cells that lack a prompt, *but* these, the ledger's attempts: the longest first, which fits least by accident."""
    lacking = [cell for cell in rest if cell not in but and prompt_of(rest[cell]) < 0 and _may_lack(rest, cell)]
    rows = defaultdict[Cell, list[Attempt]](list)
    if not lacking:
        return {}
    for row in sorted(side.attempts(lacking), key=lambda each: (-prompt_of(each.quantities), each.attempt)):
        if row.attempt not in gone:
            rows[row.cell].append(row)
    return {cell: rows[cell] for cell in lacking}


def _move_rows(rest: Rest, side: LedgerSide, rows: dict[Cell, list[Attempt]], fits: Fit, gone: set[str]) -> None:
    groups = _groups(rest)
    for cell, attempts in rows.items():
        if not attempts:
            continue
        here, stay = _at(rest, side, groups, cell), list[Attempt]()
        for row in attempts:
            place = here.place_of(row, fits) if here else None
            if place is None:
                stay.append(row)
            else:
                _take(rest, row, *place)
                gone.add(row.attempt)
                here = _at(rest, side, groups, cell)
        # What has moved is no longer there to move.
        rows[cell] = stay


def _move_hidden(rest: Rest, side: LedgerSide, gone: set[str]) -> bool:
    """Whether there were any."""
    found = list(find_hidden(rest, side, partial(_billed_as, side), gone))
    for row, cause, other in found:
        # The one before it may have been the reason.
        if is_same(row, rest[other]) and row.attempt not in gone:
            _take(rest, row, cause, other)
            gone.add(row.attempt)
    return bool(found)


def _billed_as(side: LedgerSide, row: Attempt, other: Cell) -> Cause | None:
    cell = row.cell
    beside = {side.before(cell): row.at - cell.hour, side.after(cell): side.after(cell).hour - row.at}
    if other in beside:
        return Cause.BOUNDARY_SHIFT if beside[other] <= EDGE_SECONDS else None
    is_near = (cell.hour, cell.project, cell.key) == (other.hour, other.project, other.key)
    return _kind(cell, other) if is_near else None


def _take(rest: Rest, row: Attempt, cause: Cause, other: Cell) -> None:
    evidence = f"attempt {row.attempt}, {_told(cause, row.cell, other)}"
    rest.take(cause, row.cell, minus(NOTHING, row.quantities), evidence, requests=-1, context=row.context)
    rest.take(cause, other, row.quantities, evidence, requests=1, context=row.context)


_Groups = dict[tuple[int, str, str], list[Cell]]


def _groups(rest: Rest) -> _Groups:
    groups = defaultdict[tuple[int, str, str], list[Cell]](list)
    for cell in rest:
        groups[cell.hour, cell.project, cell.key].append(cell)
    return groups


@dataclass(frozen=True)
class _Here:
    """A cell that lacks something, and where else it may be billed, in the order of causes."""

    cell: Cell
    lacking: Left
    before: Cell
    after: Cell
    places: list[tuple[Cause, Cell, Left]]

    def place_of(self, row: Attempt, fits: Fit) -> tuple[Cause, Cell] | None:
        """The first in which it fits."""
        if not 0 < prompt_of(row.quantities) <= self.lacking.most:
            return None
        for cause, other, has in self.near(row):
            if cause is Cause.BILLED_MODEL and not _has_all(has.classes, row.quantities):
                continue
            if fits(row.quantities, self.lacking, has):
                return cause, other
        return None

    def near(self, row: Attempt) -> Iterator[tuple[Cause, Cell, Left]]:
        """Those in which it may be: of the hours beside its own, the ones that it is near to, the nearest first."""
        seconds = {self.before: row.at - self.cell.hour, self.after: self.after.hour - row.at}
        beside = [each for each in self.places if seconds.get(each[1], EDGE_SECONDS + 1) <= EDGE_SECONDS]
        yield from sorted(beside, key=lambda each: seconds[each[1]])
        yield from (each for each in self.places if each[1] not in seconds)


def _at(rest: Rest, side: LedgerSide, groups: _Groups, cell: Cell) -> _Here | None:
    quantities, ours = rest[cell], side.entered.get(cell)
    # Most cells, once what fits best has moved.
    if not (any(quantities) or (ours and (ours.estimates or ours.unknown))):
        return None
    lacking = Left.of(minus(NOTHING, quantities), ours)
    if not _may_lack(rest, cell) or lacking.most <= 0 or _is_guessed(rest, side, cell):
        return None
    before, after = side.before(cell), side.after(cell)
    found = [(Cause.BOUNDARY_SHIFT, before), (Cause.BOUNDARY_SHIFT, after)]
    others = groups.get((cell.hour, cell.project, cell.key), ())
    found += [(cause, other) for cause in _ELSEWHERE for other in others if _kind(cell, other) is cause]
    places = [
        (cause, other, Left.of(rest[other], side.entered.get(other), is_one_more=(rest.requests(other) or 0) > 0))
        for cause, other in found
    ]
    places = [each for each in places if _may_have(rest, each[1]) and each[2].most > 0]
    return _Here(cell, lacking, before, after, places) if places else None


_ELSEWHERE = (Cause.LONG_CONTEXT, Cause.SERVED_TIER, Cause.BILLED_MODEL)


def _kind(cell: Cell, other: Cell) -> Cause | None:
    """As what an attempt of *cell* may be billed in *other*, which is of the same time and key."""
    if cell.model != other.model:
        return Cause.BILLED_MODEL if cell.tier == other.tier else None
    if cell.tier != other.tier:
        return Cause.SERVED_TIER if cell.context == other.context else None
    return Cause.LONG_CONTEXT if cell.context != other.context else None


def _move_equals(rest: Rest, side: LedgerSide, rows: dict[Cell, list[Attempt]]) -> None:
    """All that a cell lacks, where another has just as much: the same attempts, though it may not be told which."""
    groups = _groups(rest)
    for cell, attempts in rows.items():
        here = _at(rest, side, groups, cell)
        if here is None:
            continue
        lacking = here.lacking.quantities
        for cause, other in [(cause, other) for cause, other, _ in here.places if _are_equal(rest, cell, other)]:
            # Not more than there is of attempts that may be billed in that place.
            held = sum(
                prompt_of(row.quantities) for row in attempts if any(other == each[1] for each in here.near(row))
            )
            if held >= prompt_of(lacking):
                evidence, requests = _told(cause, cell, other), rest.requests(cell) or 0
                rest.take(cause, cell, minus(NOTHING, lacking), evidence, requests=requests)
                rest.take(cause, other, lacking, evidence, requests=-requests)
                break


def _are_equal(rest: Rest, cell: Cell, other: Cell) -> bool:
    """Their prompts in all: classes of one of them may be swapped as well."""
    lacking, has = rest[cell], rest[other]
    return (
        prompt_of(lacking) == -prompt_of(has) < 0
        and lacking[OUTPUT] == -has[OUTPUT]
        and (rest.requests(cell) or 0) == -(rest.requests(other) or 0)
        and all(quantity > 0 for quantity, wanted in zip(has, lacking, strict=True) if wanted)
    )


# As many on both sides leaves it open: for one that is missing another may have come.
def _may_lack(rest: Rest, cell: Cell) -> bool:
    requests = rest.requests(cell)
    return requests is None or requests <= 0


def _is_guessed(rest: Rest, side: LedgerSide, cell: Cell) -> bool:
    """No attempt is missing, and what is lacking is no more than was guessed too high."""
    ours = side.entered.get(cell)
    return bool(ours and ours.estimates and rest.requests(cell) == 0 and -prompt_of(rest[cell]) <= ours.below[0])


def _may_have(rest: Rest, cell: Cell) -> bool:
    requests = rest.requests(cell)
    return requests is None or requests >= 0


def _told(cause: Cause, cell: Cell, other: Cell) -> str:
    if cause is Cause.BOUNDARY_SHIFT:
        edge = "end" if other.hour > cell.hour else "beginning"
        return f"entered at the {edge} of its {'hour' if at_hour(cell) != at_hour(other) else 'minute'}"
    name = {Cause.LONG_CONTEXT: "context", Cause.SERVED_TIER: "tier", Cause.BILLED_MODEL: "model"}[cause]
    return f"entered at {getattr(cell, name)}, billed at {getattr(other, name)}"


def _move_all(rest: Rest, side: LedgerSide, cells: Sequence[Cell], cause: Cause, name: str) -> None:
    """Let what one cell lacks be what another has."""
    for lacking in (cell for cell in cells if not _is_guessed(rest, side, cell)):
        for having in cells:
            moved = rest[lacking]
            # All of its prompt: only then it is the same attempts, and not two accidents.
            if getattr(lacking, name) == getattr(having, name) or prompt_of(moved) >= 0 or moved[OUTPUT] > 0:
                continue
            known = cause is Cause.SERVED_TIER and (rest.requests(lacking) or 0) < 0 and having.tier == "default"
            if not known and prompt_of(minus(NOTHING, moved)) > prompt_of(rest[having]):
                continue
            # Another model is of whole attempts: what a swap put beside them is none.
            if cause is Cause.BILLED_MODEL and not (max(moved[: INPUTS.stop]) <= 0 and _has_all(rest[having], moved)):
                continue
            evidence = _told(cause, lacking, having)
            requests = rest.requests(lacking) or 0
            rest.take(cause, lacking, moved, evidence, requests=requests)
            rest.take(cause, having, minus(NOTHING, moved), evidence, requests=-requests)


# Another model may not have the class at all.
def _has_all(left: Quantities, wanted: Quantities) -> bool:
    return all(has > 0 for has, each in zip(left, wanted, strict=True) if each)
