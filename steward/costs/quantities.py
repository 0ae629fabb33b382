"""Why other quantities were billed than the ledger has: by the hour, each cause by evidence of its own.

The order is that of `Cause`: what leaves no doubt comes first, what only bounds tell comes last.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from steward.costs.causes import Cause
from steward.costs.cells import CLASSES, HOUR, INPUTS, NOTHING, OUTPUT, SEARCHES, Cell, Quantities, minus, prompt_of
from steward.costs.doubtful import explain_doubtful
from steward.costs.rest import Rest
from steward.costs.sides import LedgerSide, Usual, compare, fold, usual
from steward.costs.values import Bill, Entered, LedgerDay, Terms

#: Times that what one attempt leaves behind is looked at again.
_ROUNDS = 4
#: Where an attempt may be found that is missing, by what is different there.
_PLACES = {("context",): Cause.LONG_CONTEXT, ("tier",): Cause.SERVED_TIER, ("model",): Cause.BILLED_MODEL}
_WRITES = (CLASSES.index("cache_write_5m"), CLASSES.index("cache_write_1h"))


def explain_quantities(bill: Bill, ledger: LedgerDay, terms: Terms, *, final: bool) -> Rest:
    """Everything that was taken, and what is left. *final*: the provider has had its time to state what is late."""
    rest, side = compare(bill, ledger)
    means = usual(LedgerSide(ledger, side.folded, HOUR))
    _past_gateway(rest, terms.gateway_keys | {each.cell.key for each in ledger.entered})
    _boundary_shifts(rest, side)
    _long_contexts(rest)
    _served_tiers(rest)
    _billed_models(rest)
    _cache_lives(rest)
    _cache_splits(rest, side.entered, means)
    _single_attempts(rest, side.ledger)
    _stated_twice(rest, side.ledger)
    explain_doubtful(rest, side.entered, means)
    _searches(rest)
    if not final:
        _not_yet_stated(rest)
    return rest


def _past_gateway(rest: Rest, known: Collection[str]) -> None:
    for cell in rest:
        if cell.key not in known:
            rest.take(
                Cause.PAST_GATEWAY,
                cell,
                rest[cell],
                f"{cell.key} is no key of the gateway's",
                requests=rest.requests(cell) or 0,
            )


def _cache_lives(rest: Rest) -> None:
    for cell in rest:
        _swap(rest, cell, Cause.CACHE_WRITE_LIFE, _WRITES, "one kind of cache write is billed as the other")


def _cache_splits(rest: Rest, entered: Mapping[Cell, Entered], means: Mapping[str, Usual]) -> None:
    for cell in rest:
        ours = entered.get(cell)
        # Of a stream whose usage was not told the ledger has all input as uncached: what of it was cached is no split.
        guessed = ours.below[0] if ours else 0
        if 0 < -rest[cell][0] <= guessed:
            continue
        but = round(means[cell.model].cached * guessed) if guessed else 0
        _swap(rest, cell, Cause.CACHE_SPLIT, tuple(INPUTS), "what one class of input lacks, another has", but=but)


def _swap(rest: Rest, cell: Cell, cause: Cause, among: Sequence[int], evidence: str, *, but: int = 0) -> None:
    """Let what some classes of *cell* lack be what others have, as far as it goes, and *but* so many."""
    left = rest[cell]
    lacking = [index for index in among if left[index] < 0]
    having = [index for index in among if left[index] > 0]
    swapped = min(-sum(left[index] for index in lacking), sum(left[index] for index in having)) - but
    if swapped <= 0:
        return
    taken = [0] * len(CLASSES)
    for indexes, sign in ((lacking, -1), (having, 1)):
        todo = swapped
        for index in indexes:
            part = min(todo, abs(left[index]))
            taken[index], todo = sign * part, todo - part
    rest.take(cause, cell, tuple(taken), evidence)


def _boundary_shifts(rest: Rest, side: LedgerSide) -> None:
    lacking = [cell for cell in rest if prompt_of(rest[cell]) < 0]
    rows = sorted(side.ledger.edges(lacking), key=lambda each: (each.at, each.attempt))
    # What fits best comes first: a prompt that is merely not too long may be another attempt's.
    shifted = set[str]()
    for fits in (_is_all, _is_part, _is_no_more):
        for row in rows:
            if row.attempt in shifted:
                continue
            cell = fold(row.cell) if side.folded else row.cell
            after = row.at - cell.hour > side.width / 2
            other = cell._replace(hour=cell.hour + (side.width if after else -side.width))
            if fits(row.quantities, minus(NOTHING, rest[cell])) and fits(row.quantities, rest[other]):
                evidence = f"attempt {row.attempt}, entered {'at the end' if after else 'at the beginning'} of its hour"
                rest.take(Cause.BOUNDARY_SHIFT, cell, minus(NOTHING, row.quantities), evidence, requests=-1)
                rest.take(Cause.BOUNDARY_SHIFT, other, row.quantities, evidence, requests=1)
                shifted.add(row.attempt)


def _is_all(row: Quantities, left: Quantities) -> bool:
    return row == left


def _is_part(row: Quantities, left: Quantities) -> bool:
    return all(each <= has for each, has in zip(row, left, strict=True))


# By the whole prompt: its classes may be swapped, and what streams wrote that were given up is not known.
def _is_no_more(row: Quantities, left: Quantities) -> bool:
    return prompt_of(row) <= prompt_of(left)


def _long_contexts(rest: Rest) -> None:
    for cells in rest.by_group("context"):
        _move_between(rest, cells, Cause.LONG_CONTEXT, "context")


def _served_tiers(rest: Rest) -> None:
    for cells in rest.by_group("tier"):
        _move_between(rest, cells, Cause.SERVED_TIER, "tier")


def _billed_models(rest: Rest) -> None:
    for cells in rest.by_group("model", "context"):
        _move_between(rest, cells, Cause.BILLED_MODEL, "model")


def _move_between(rest: Rest, cells: Sequence[Cell], cause: Cause, name: str) -> None:
    """Let what one cell lacks be what another has."""
    for lacking in cells:
        for having in cells:
            moved = rest[lacking]
            # All of its prompt: only then it is the same attempts, and not two accidents.
            if getattr(lacking, name) == getattr(having, name):
                continue
            known = cause is Cause.SERVED_TIER and (rest.requests(lacking) or 0) < 0 and having.tier == "default"
            if not known and not _is_no_more(minus(NOTHING, moved), rest[having]):
                continue
            if prompt_of(moved) >= 0 or moved[OUTPUT] > 0:
                continue
            if cause is Cause.BILLED_MODEL and not _has_all(rest[having], moved):
                continue
            evidence = f"entered at {getattr(lacking, name)}, billed at {getattr(having, name)}"
            requests = rest.requests(lacking) or 0
            rest.take(cause, lacking, moved, evidence, requests=requests)
            rest.take(cause, having, minus(NOTHING, moved), evidence, requests=-requests)


def _single_attempts(rest: Rest, ledger: LedgerDay) -> None:
    """What a cell lacks is one attempt of the ledger: it is looked for where most of its prompt is over."""
    for _ in range(_ROUNDS):
        lacking = {cell: minus(NOTHING, rest[cell]) for cell in rest if prompt_of(rest[cell]) < 0 >= max(rest[cell])}
        found = ledger.alike(lacking)
        moves = [(cell, other) for cell in sorted(found) if (other := _where_over(rest, cell, lacking[cell]))]
        for cell, (cause, other) in moves:
            evidence = f"attempt {found[cell]}: entered at {_place(cell, cause)}, billed at {_place(other, cause)}"
            rest.take(cause, cell, minus(NOTHING, lacking[cell]), evidence, requests=-1)
            rest.take(cause, other, lacking[cell], evidence, requests=1)
        if not moves:
            return


def _where_over(rest: Rest, cell: Cell, wanted: Quantities) -> tuple[Cause, Cell] | None:
    near = [
        (prompt_of(rest[other]), cause, other)
        for other in rest
        if other.project == cell.project and other.key == cell.key and (cause := _PLACES.get(_differing(cell, other)))
        # Another model may not have the class at all.
        if cause is not Cause.BILLED_MODEL or _has_all(rest[other], wanted)
    ]
    most, cause, other = max(near, default=(0, Cause.UNEXPLAINED, cell))
    return (cause, other) if most * 2 >= prompt_of(wanted) else None


def _has_all(left: Quantities, wanted: Quantities) -> bool:
    return all(has > 0 for has, each in zip(left, wanted, strict=True) if each)


def _differing(one: Cell, other: Cell) -> tuple[str, ...]:
    return tuple(name for name in Cell._fields if getattr(one, name) != getattr(other, name) and name != "account")


def _place(cell: Cell, cause: Cause) -> str:
    return next(str(getattr(cell, names[0])) for names, each in _PLACES.items() if each is cause)


def _stated_twice(rest: Rest, ledger: LedgerDay) -> None:
    over = {
        cell: rest[cell]
        for cell in rest
        if prompt_of(rest[cell]) > 0 and min(rest[cell]) >= 0 and rest.requests(cell) in {None, 1}
    }
    for cell, attempt in ledger.alike(over).items():
        evidence = f"the quantities of attempt {attempt} once more"
        rest.take(Cause.STATED_TWICE, cell, rest[cell], evidence, requests=1)


def _searches(rest: Rest) -> None:
    for cell in rest:
        if number := rest[cell][SEARCHES]:
            taken = (*NOTHING[:SEARCHES], number)
            rest.take(Cause.WEB_SEARCH, cell, taken, "another number of searches is billed than the answers told")


def _not_yet_stated(rest: Rest) -> None:
    for cell in rest:
        missing = tuple(min(0, each) for each in rest[cell])
        if any(missing):
            rest.take(Cause.NOT_YET_STATED, cell, missing, "the provider may still state it")
