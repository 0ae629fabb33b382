"""Why other quantities were billed than the ledger has: by the hour, each cause by evidence of its own.

What leaves no doubt comes first, what only bounds tell comes last: `_explain` says the order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from steward.costs.attribution.doubtful import explain_doubtful
from steward.costs.attribution.moves import explain_moves
from steward.costs.attribution.rest import Rest
from steward.costs.attribution.sides import LedgerSide, Usual, at_hour, by_cell, usual
from steward.costs.attribution.stated_twice import explain_stated_twice, hours_stated_twice, stated_once
from steward.costs.causes import Cause
from steward.costs.cells import CLASSES, HOUR, INPUTS, NOTHING, SEARCHES, Cell, prompt_of
from steward.costs.values import Bill, Entered, LedgerDay, Terms, Usage

#: Share of an hour's prompts. Clocks of one second apart let one in sixty be of another minute, missing here and too many there.
_APART = 0.1
_WRITES = (CLASSES.index("cache_write_5m"), CLASSES.index("cache_write_1h"))


def explain_quantities(
    bill: Bill, hours: Mapping[Cell, Usage], ledger: LedgerDay, terms: Terms, *, final: bool
) -> Looked:
    """Everything that was taken, and what is left.

    Args:
        bill: Of the day and the hours beside it.
        hours: Its usage, hour by hour.
        ledger: Of the same hours.
        terms: The gateway's keys.
        final: The provider has had its time to state what is late.
    """
    side = LedgerSide(ledger, folded={cell.context for cell in hours} == {""}, width=HOUR)
    known = terms.gateway_keys | {each.cell.key for each in ledger.entered}
    twice = hours_stated_twice(hours, side.entered)
    once = tuple(stated_once(bill.usage, twice, known)) if twice else bill.usage
    found = _look(Billed(once, bill.bucket), by_cell(once), side, known, final=final)
    for cell, usage in by_cell(once).items() if twice else ():
        if cell.hour in twice and cell.key in known:
            found.rest.add(
                Cause.STATED_TWICE, cell, usage.quantities, "all of the hour once more: every figure of it is even"
            )
    return found


class Looked(NamedTuple):
    """What was compared, hour by hour and where hours differ by the minute, and what came of it."""

    rest: Rest
    entered: Sequence[Entered]
    billed: Mapping[Cell, Usage]


def _look(
    billed: Billed, hours: Mapping[Cell, Usage], hourly: LedgerSide, known: Collection[str], *, final: bool
) -> Looked:
    """Closer, where hours differ; hours that are equal are not looked into: their minutes may differ, for two clocks are never one."""
    side, rest, told, means = hourly, hourly.less_than(hours), hours, usual(hourly)
    if not (billed.bucket < HOUR and (differing := set(rest))):
        return Looked(_explain(rest, side, means, known, final=final), hourly.ledger.entered, hours)
    side = hourly.by_minute(differing, billed.bucket)
    told = billed.at(side, differing)
    rest = side.less_than(told)
    if apart := _apart(rest, side, known):
        side = hourly.by_minute(differing, billed.bucket, apart)
        told = billed.at(side, differing)
        rest = side.less_than(told)
    equal = [each for each in hourly.ledger.entered if hourly.told(each.cell) not in differing]
    entered = [*equal, *side.ledger.entered]
    whole = {cell: usage for cell, usage in hours.items() if cell not in differing}
    return Looked(_explain(rest, side, means, known, final=final), entered, {**whole, **told})


@dataclass(frozen=True)
class Billed:
    """Usage as it is stated."""

    usage: Sequence[Usage]
    bucket: int

    def at(self, side: LedgerSide, differing: Collection[Cell]) -> Mapping[Cell, Usage]:
        """Of the hours that differ, as the other side is told apart."""
        wanted = (each for each in self.usage if at_hour(each.cell) in differing)
        return by_cell(wanted, side.placed)


def _apart(minutes: Rest, side: LedgerSide, known: Collection[str]) -> frozenset[int]:
    """Hours in which the clocks of the two sides differ: models' prompts do minute by minute, and together they do not.

    Without the first minute and the last one, in which an attempt may be of another hour.
    """
    entered, differences = Counter[int](), Counter[Cell]()
    for each in side.entered.values():
        if _is_within(each.cell, side):
            entered[at_hour(each.cell).hour] += prompt_of(each.quantities)
    for cell in minutes:
        if cell.key in known and _is_within(cell, side):
            differences[cell._replace(tier="", context="")] += prompt_of(minutes[cell])
    apart, together = Counter[int](), Counter[Cell]()
    for cell, difference in differences.items():
        apart[at_hour(cell).hour] += abs(difference)
        together[at_hour(cell)] += difference
    for cell, difference in together.items():
        apart[cell.hour] -= abs(difference)
    return frozenset(hour for hour, found in apart.items() if found > _APART * entered[hour])


def _is_within(cell: Cell, side: LedgerSide) -> bool:
    return side.width <= cell.hour % HOUR < HOUR - side.width


def _explain(rest: Rest, side: LedgerSide, means: Mapping[str, Usual], known: Collection[str], *, final: bool) -> Rest:
    _past_gateway(rest, known)
    explain_moves(rest, side)
    explain_stated_twice(rest, side)
    _cache_lives(rest)
    _cache_splits(rest, side.entered, means)
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
