"""Why other quantities were billed than the ledger has: by the hour, each cause by evidence of its own.

The order is that of `Cause`: what leaves no doubt comes first, what only bounds tell comes last.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

from steward.costs.causes import Cause
from steward.costs.cells import CLASSES, HOUR, INPUTS, NOTHING, SEARCHES, Cell, prompt_of
from steward.costs.doubtful import explain_doubtful
from steward.costs.moves import explain_moves
from steward.costs.rest import Rest
from steward.costs.sides import LedgerSide, Usual, at_hour, by_cell, usual
from steward.costs.values import Bill, Entered, LedgerDay, Terms, Usage

#: Clocks of one second apart let one attempt in sixty be of another minute.
_APART = 0.05
_WRITES = (CLASSES.index("cache_write_5m"), CLASSES.index("cache_write_1h"))


def explain_quantities(
    bill: Bill, hours: Mapping[Cell, Usage], ledger: LedgerDay, terms: Terms, *, final: bool
) -> Rest:
    """Everything that was taken, and what is left.

    Args:
        bill: Of the day and the hours beside it.
        hours: Its usage, hour by hour.
        ledger: Of the same hours.
        terms: The gateway's keys.
        final: The provider has had its time to state what is late.
    """
    side = LedgerSide(ledger, folded={cell.context for cell in hours} == {""}, width=HOUR)
    rest, means = side.less_than(hours), usual(side)
    known = terms.gateway_keys | {each.cell.key for each in ledger.entered}
    if bill.bucket < HOUR and (differing := set(rest)):
        # Hours that are equal are not looked into: their minutes may differ, for two clocks are never one.
        closer = side.by_minute(differing, bill.bucket)
        billed = by_cell((each for each in bill.usage if at_hour(each.cell) in differing), lambda cell: cell)
        minutes = _explain(closer.less_than(billed), closer, means, known, final=final)
        if not any(minutes) or not _are_apart(minutes, closer):
            return minutes
    return _explain(rest, side, means, known, final=final)


def _are_apart(minutes: Rest, side: LedgerSide) -> bool:
    """The clocks of the two sides: so far that minutes tell less than hours."""
    shifted = sum(
        1
        for before, after in pairwise(minutes.moved)
        if before.cause is after.cause is Cause.BOUNDARY_SHIFT and at_hour(before.cell) == at_hour(after.cell)
    )
    return shifted > _APART * sum(each.requests for each in side.entered.values())


def _explain(rest: Rest, side: LedgerSide, means: Mapping[str, Usual], known: Collection[str], *, final: bool) -> Rest:
    _past_gateway(rest, known)
    explain_moves(rest, side)
    _cache_lives(rest)
    _cache_splits(rest, side.entered, means)
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
        mean = means.get(cell.model)
        but = round(mean.cached * guessed) if mean else guessed
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
