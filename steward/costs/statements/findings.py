"""What a statement has to say in plain words: first what speaks against it, then its largest causes, then what is left."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import islice

from steward.costs.cells import CLASSES
from steward.costs.money import shown, signed, total
from steward.costs.results import DayResult, Gap, LeftOver
from steward.costs.statements.figures import TOLERATED_PERCENT, AccountFigures, AccountMonth, Found, is_borne
from steward.costs.statements.labels import label
from steward.verdicts import Verdict

#: Of each kind; how many there are besides is said.
MOST_LISTED = 6


def gap_findings(gaps: Iterable[Gap]) -> tuple[str, ...]:
    """Why nothing can be told. Days that lack for the same reason belong together."""
    groups = defaultdict[tuple[str, bool, str], list[Gap]](list)
    for gap in gaps:
        groups[gap.account, gap.day is None, gap.reason].append(gap)
    return tuple(_limited((_gaps_in_words(group) for group in groups.values()), "more are missing"))


def _gaps_in_words(group: Sequence[Gap]) -> str:
    days = sorted(str(gap.day) for gap in group if gap.day)
    when = "invoice" if not days else days[0] if len(days) == 1 else f"{len(days)} days from {days[0]} to {days[-1]}"
    return f"{group[0].account}, {when}: {group[0].reason}"


def findings(parts: Sequence[AccountMonth], accounts: Sequence[AccountFigures]) -> tuple[str, ...]:
    """Of a statement that has figures."""
    return (
        *(each for account in accounts if account.verdict is Verdict.REFUTED for each in _against(account)),
        *_limited(_restated(parts), "more days were restated"),
        *_limited(_unexplained(parts), "more days or items are not explained"),
        *_limited(_largest(parts), "smaller ones"),
        *_limited(_left(parts), "more cells have quantities without a cause"),
    )


def _against(account: AccountFigures) -> Iterator[str]:
    if not is_borne(account.variance, account.billed):
        more = "more" if account.variance > 0 else "less"
        yield (
            f"{account.account}: {shown(abs(account.variance))} {more} is billed than the ledger has, what was agreed set "
            f"apart; less than {TOLERATED_PERCENT} % of {shown(account.billed)} is borne"
        )
    if account.unexplained_daily > account.bound:
        yield (
            f"{account.account}: {shown(account.unexplained_daily)} has no cause, "
            f"and rounding comes to {shown(account.bound)} at most"
        )


def _restated(parts: Iterable[AccountMonth]) -> Iterator[str]:
    for result in (result for part in parts for result in part.results):
        if before := result.restates:
            yield (
                f"{result.account}, {result.day}: stated otherwise than at {before.reading}: "
                f"{shown(result.billed)} is billed, and {shown(before.billed)} was"
            )


def _unexplained(parts: Iterable[AccountMonth]) -> Iterator[str]:
    days = [
        (abs(result.unexplained), f"{result.account}, {result.day}: {signed(result.unexplained)} has no cause")
        for part in parts
        for result in part.results
        if abs(result.unexplained) > result.bound
    ]
    items = [
        (abs(amount), f"{part.account}, invoice, {item}: {signed(amount)} against every reading of the cost reports")
        for part in parts
        for item, amount in part.unsettled
    ]
    yield from (text for _, text in sorted([*days, *items], key=lambda each: (-each[0], each[1])))


def _largest(parts: Iterable[AccountMonth]) -> Iterator[str]:
    """What was agreed is no finding. Shares of one cause in one project belong together."""
    groups = defaultdict[tuple[str, str, str], list[Found]](list)
    for each in (each for part in parts for each in part.found if not each.share.agreed):
        groups[each.share.cause, each.account, each.share.project].append(each)
    summed = [(total(each.share.amount for each in group), group) for group in groups.values()]
    summed.sort(key=lambda each: (-abs(each[0]), str(each[1][0])))
    yield from (_in_words(amount, group) for amount, group in summed)


def _in_words(amount: Decimal, group: Sequence[Found]) -> str:
    first, largest = group[0], max(group, key=lambda each: (abs(each.share.amount), str(each)))
    where = ", ".join(each for each in (first.account, first.share.project) if each)
    days = len({each.day for each in group if each.day})
    when = f", {days} day{'s' if days > 1 else ''}" if days else ""
    what = label(first.share.cause, agreed=False)
    return f"{signed(amount)} {what} ({where}{when}); the largest: {largest.share.evidence} ({largest.place})"


def _left(parts: Iterable[AccountMonth]) -> Iterator[str]:
    cells = [(result, cell) for part in parts for result in part.results for cell in result.left]
    cells.sort(key=lambda each: (-sum(map(abs, each[1].quantities)), each[0].account, each[1].hour))
    yield from (_cell_in_words(result, cell) for result, cell in cells)


def _cell_in_words(result: DayResult, cell: LeftOver) -> str:
    hour = dt.datetime.fromtimestamp(cell.hour, dt.UTC)
    names = (result.account, f"{hour:%Y-%m-%d %H:%M} UTC", cell.project, cell.key, cell.model, cell.tier, cell.context)
    counts = zip(CLASSES, cell.quantities, strict=True)
    over = ", ".join(f"{quantity:+,} {name}" for name, quantity in counts if quantity)
    return f"{', '.join(name for name in names if name)}: {over} without a cause (billed less entered)"


def _limited(texts: Iterable[str], others: str) -> Iterator[str]:
    rest = iter(texts)
    yield from islice(rest, MOST_LISTED)
    if more := sum(1 for _ in rest):
        yield f"and {more:,} {others}"
