"""Attempts that are billed elsewhere than they were entered: in the hour beside it, at another tier, as another model.

An attempt moves as a whole. Which one it was tells its prompt: hardly two of a cell have the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from steward.costs.causes import Cause
from steward.costs.cells import INPUTS, NOTHING, OUTPUT, Cell, Quantities, minus, prompt_of
from steward.costs.rest import Rest
from steward.costs.sides import LedgerSide, fold
from steward.costs.values import Attempt

#: How far from its hour's end an attempt may have been entered to be looked for in the next one.
EDGE_SECONDS = 60
_Fit = Callable[[Quantities, Quantities, Quantities], bool]


def explain_moves(rest: Rest, side: LedgerSide) -> None:
    """One by one, what fits best first; then all together what one cell lacks and another has."""
    rows, moved = _rows_of_lacking(rest, side), set[str]()
    groups = _groups(rest)
    for fits in (_is_whole, _is_prompt, _is_part):
        for cell, attempts in rows.items():
            for row in attempts:
                if row.attempt not in moved and _move(rest, cell, row, _places(groups, cell, row, side.width), fits):
                    moved.add(row.attempt)
    for names, cause in (("context",), Cause.LONG_CONTEXT), (("tier",), Cause.SERVED_TIER):
        for cells in rest.by_group(*names):
            _move_all(rest, cells, cause, names[0])
    for cells in rest.by_group("model", "context"):
        _move_all(rest, cells, Cause.BILLED_MODEL, "model")


def _rows_of_lacking(rest: Rest, side: LedgerSide) -> dict[Cell, list[Attempt]]:
    """Of cells that lack a prompt, the ledger's attempts: the longest first, which fits least by accident."""
    lacking = [cell for cell in rest if prompt_of(rest[cell]) < 0 and _may_lack(rest, cell)]
    rows = defaultdict[Cell, list[Attempt]](list)
    for row in sorted(side.ledger.attempts(lacking), key=lambda each: (-prompt_of(each.quantities), each.attempt)):
        rows[fold(row.cell) if side.folded else row.cell].append(row)
    return {cell: rows[cell] for cell in lacking}


def _groups(rest: Rest) -> dict[tuple[int, str, str], list[Cell]]:
    groups = defaultdict[tuple[int, str, str], list[Cell]](list)
    for cell in rest:
        groups[cell.hour, cell.project, cell.key].append(cell)
    return groups


def _places(
    groups: dict[tuple[int, str, str], list[Cell]], cell: Cell, row: Attempt, width: int
) -> Iterator[tuple[Cause, Cell]]:
    """Where else an attempt of *cell* may be billed, in the order of causes."""
    after = row.at - cell.hour > width / 2
    if (cell.hour + width - row.at if after else row.at - cell.hour) <= EDGE_SECONDS:
        yield Cause.BOUNDARY_SHIFT, cell._replace(hour=cell.hour + (width if after else -width))
    others = [other for other in groups.get((cell.hour, cell.project, cell.key), ()) if other != cell]
    yield from ((Cause.LONG_CONTEXT, other) for other in others if other == cell._replace(context=other.context))
    yield from ((Cause.SERVED_TIER, other) for other in others if other == cell._replace(tier=other.tier))
    yield from (
        (Cause.BILLED_MODEL, other) for other in others if other.model != cell.model and other.tier == cell.tier
    )


def _move(rest: Rest, cell: Cell, row: Attempt, places: Iterator[tuple[Cause, Cell]], fits: _Fit) -> bool:
    lacking = minus(NOTHING, rest[cell])
    if not 0 < prompt_of(row.quantities) <= prompt_of(lacking) or not _may_lack(rest, cell):
        return False
    for cause, other in places:
        has = rest[other]
        if not _may_have(rest, other) or prompt_of(row.quantities) > prompt_of(has):
            continue
        if cause is Cause.BILLED_MODEL and not _has_all(has, row.quantities):
            continue
        if fits(row.quantities, lacking, has):
            evidence = f"attempt {row.attempt}, {_told(cause, cell, other)}"
            rest.take(cause, cell, minus(NOTHING, row.quantities), evidence, requests=-1)
            rest.take(cause, other, row.quantities, evidence, requests=1)
            return True
    return False


def _may_lack(rest: Rest, cell: Cell) -> bool:
    return (rest.requests(cell) or -1) < 0


def _may_have(rest: Rest, cell: Cell) -> bool:
    return (rest.requests(cell) or 1) > 0


def _told(cause: Cause, cell: Cell, other: Cell) -> str:
    if cause is Cause.BOUNDARY_SHIFT:
        return f"entered at the {'end' if other.hour > cell.hour else 'beginning'} of its hour"
    name = {Cause.LONG_CONTEXT: "context", Cause.SERVED_TIER: "tier", Cause.BILLED_MODEL: "model"}[cause]
    return f"entered at {getattr(cell, name)}, billed at {getattr(other, name)}"


def _is_whole(row: Quantities, lacking: Quantities, has: Quantities) -> bool:
    return (row == lacking and _is_in(row, has)) or (row == has and _is_in(row, lacking))


# By the whole prompt: its classes may be swapped as well, and what streams wrote that were given up is not known.
def _is_prompt(row: Quantities, lacking: Quantities, has: Quantities) -> bool:
    return prompt_of(row) in {prompt_of(lacking), prompt_of(has)}


def _is_part(row: Quantities, lacking: Quantities, has: Quantities) -> bool:
    return _is_in(row, lacking) and _is_in(row, has)


def _is_in(row: Quantities, left: Quantities) -> bool:
    return all(row[index] <= left[index] for index in (*INPUTS, OUTPUT))


def _move_all(rest: Rest, cells: Sequence[Cell], cause: Cause, name: str) -> None:
    """Let what one cell lacks be what another has."""
    for lacking in cells:
        for having in cells:
            moved = rest[lacking]
            # All of its prompt: only then it is the same attempts, and not two accidents.
            if getattr(lacking, name) == getattr(having, name) or prompt_of(moved) >= 0 or moved[OUTPUT] > 0:
                continue
            known = cause is Cause.SERVED_TIER and (rest.requests(lacking) or 0) < 0 and having.tier == "default"
            if not known and prompt_of(minus(NOTHING, moved)) > prompt_of(rest[having]):
                continue
            if cause is Cause.BILLED_MODEL and not _has_all(rest[having], moved):
                continue
            evidence = _told(cause, lacking, having)
            requests = rest.requests(lacking) or 0
            rest.take(cause, lacking, moved, evidence, requests=requests)
            rest.take(cause, having, minus(NOTHING, moved), evidence, requests=-requests)


# Another model may not have the class at all.
def _has_all(left: Quantities, wanted: Quantities) -> bool:
    return all(has > 0 for has, each in zip(left, wanted, strict=True) if each)
