"""The trend of a period: what the ledger has and what is billed, day by day, and under it what has no cause."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import chain

from steward.costs.money import CENT, ZERO, exactly, less, shown, signed
from steward.costs.period import Period
from steward.costs.statements import picture
from steward.costs.statements.figures import DayFigures
from steward.costs.statements.picture import MARGIN, WIDTH, Scale, box, rounded, rule, text, tick_label

_LEFT, _RIGHT = 96, WIDTH - MARGIN
_TOP, _UPPER, _GAP, _LOWER = 96, 190, 46, 80
_HEIGHT = _TOP + _UPPER + _GAP + _LOWER + 84
#: Days whose names stand side by side without touching.
_MOST_NAMES = 11
#: Beyond the largest amount, so that it is not taken for one that goes on.
_ROOM = Decimal("1.3")
#: Bands of neighbouring days are one band.
_CRISP = 'shape-rendering="crispEdges"'
_BILLED, _LEDGER = "#56b4e9", picture.TOTAL


def draw_trend(accounts: Sequence[str], period: Period, days: Iterable[DayFigures]) -> str:
    """An SVG. A day of the period that is not among *days* could not be had: it is hatched, and stands for no amount."""
    found = {each.day: each for each in days if period.first <= each.day <= period.last}
    title = f"Costs of {picture.listed(accounts)} by the day, {period}"
    plot = _Plot(period.days)
    shapes = [
        text(MARGIN, 42, title, size=19, weight=700),
        text(MARGIN, 66, _lead(period, found), size=14, colour=picture.QUIET),
        *_missing(plot, found),
        # Where nothing is known there is no amount, not even beside an axis.
        *(chain(_amounts(plot, found), _unexplained(plot, found)) if found else ()),
        *_dates(plot),
        *picture.legend(_LEFT, _HEIGHT - 22, _legend(found, plot)),
    ]
    return picture.svg(_HEIGHT, title, _described(period, found), shapes)


class _Plot:
    """Where a day stands."""

    def __init__(self, days: Sequence[dt.date]) -> None:
        self.days = days
        self.slot = Decimal(_RIGHT - _LEFT) / len(days)

    def left(self, day: dt.date) -> Decimal:
        return _LEFT + self.slot * (day - self.days[0]).days

    def width(self, sixths: int) -> Decimal:
        """Of a bar that takes so much of its day: where there are few days, it does not fill a page."""
        return min(self.slot, Decimal(72)) * sixths / 6

    def middle(self, day: dt.date) -> Decimal:
        return self.left(day) + self.slot / 2


def _lead(period: Period, found: Mapping[dt.date, DayFigures]) -> str:
    missing = len(period.days) - len(found)
    if missing:
        return f"{missing} of {len(period.days)} days could not be had: hatched, and not nothing"
    beyond = sum(each.unexplained_apart > each.bound for each in found.values())
    return (
        f"{beyond} of {len(found)} days have cents without a cause" if beyond else "every cent of every day has a cause"
    )


def _missing(plot: _Plot, found: Mapping[dt.date, DayFigures]) -> Iterator[str]:
    for day in plot.days:
        if day not in found:
            for top, height in ((_TOP, _UPPER), (_TOP + _UPPER + _GAP, _LOWER)):
                yield box(plot.left(day) + 1, top, plot.slot - 2, height, "url(#hatch)", extra='opacity="0.6"')


def _amounts(plot: _Plot, found: Mapping[dt.date, DayFigures]) -> Iterator[str]:
    levels = [level for each in found.values() for level in (each.ledger, each.billed)]
    marks = rounded(min([*levels, ZERO]), max([*levels, ZERO]) or Decimal(1), 5)
    scale = Scale(marks[0], marks[-1], _TOP + _UPPER, _TOP)
    yield from _levels(scale, marks)
    for day, each in sorted(found.items()):
        yield f"<g><title>{picture.words(_sentence(each))}</title>"
        ends = sorted((scale.at(each.billed), scale.at(ZERO)))
        width = plot.width(4)
        yield box(plot.middle(day) - width / 2, ends[0], width, ends[1] - ends[0], _BILLED)
        yield from _mark(plot, day, scale.at(each.ledger))
        yield "</g>"


def _mark(plot: _Plot, day: dt.date, y: Decimal) -> Iterator[str]:
    """The ledger as a stroke across its bar: a line from day to day would say something of the time between."""
    half = plot.width(5) / 2
    middle = plot.middle(day)
    yield rule(middle - half, y, middle + half, y, _LEDGER, extra='stroke-width="2.5" stroke-linecap="round"')


def _unexplained(plot: _Plot, found: Mapping[dt.date, DayFigures]) -> Iterator[str]:
    top = _TOP + _UPPER + _GAP
    most = max(max(abs(each.unexplained), each.bound) for each in found.values()) or CENT
    with exactly():
        scale = Scale(-most * _ROOM, most * _ROOM, top + _LOWER, top)
    yield text(_LEFT, top - 12, "without a cause, and what rounding can come to", size=12, weight=700)
    for amount in (most, ZERO, -most):
        label = picture.drawn(signed(amount) if amount else "$0")
        yield text(_LEFT - 8, scale.at(amount) + 4, label, size=11, colour=picture.QUIET, anchor="end")
    for day, each in sorted(found.items()):
        band = scale.at(-each.bound) - scale.at(each.bound)
        yield box(plot.left(day), scale.at(each.bound), plot.slot, band, picture.FAINT, radius=0, extra=_CRISP)
    yield rule(_LEFT, scale.at(ZERO), _RIGHT, scale.at(ZERO), picture.QUIET, extra='stroke-width="0.5"')
    for day, each in sorted(found.items()):
        if each.unexplained:
            ends, width = sorted((scale.at(each.unexplained), scale.at(ZERO))), plot.width(3)
            height = max(ends[1] - ends[0], Decimal("1.5"))
            yield box(plot.middle(day) - width / 2, ends[0], width, height, picture.DOUBT, radius=1)


def _levels(scale: Scale, marks: Sequence[Decimal]) -> Iterator[str]:
    step = less(marks[1], marks[0])
    for mark in marks:
        y = scale.at(mark)
        yield rule(_LEFT, y, _RIGHT, y)
        yield text(_LEFT - 8, y + 4, tick_label(mark, step), size=11, colour=picture.QUIET, anchor="end")


def _dates(plot: _Plot) -> Iterator[str]:
    every = -(-len(plot.days) // _MOST_NAMES)
    for day in plot.days[::every]:
        label = f"{day.day} {day:%b}"
        yield text(plot.middle(day), _HEIGHT - 62, label, size=11, colour=picture.QUIET, anchor="middle")


def _legend(found: Mapping[dt.date, DayFigures], plot: _Plot) -> Iterator[tuple[str, str]]:
    yield _BILLED, "billed"
    yield _LEDGER, "our ledger, at list prices"
    yield picture.DOUBT, "without a cause"
    yield picture.FAINT, "rounding bound"
    if len(found) < len(plot.days):
        yield "url(#hatch)", "could not be had"


def _sentence(each: DayFigures) -> str:
    return (
        f"{each.day}: {shown(each.billed)} billed, {shown(each.ledger)} in the ledger, "
        f"{signed(each.unexplained)} without a cause"
    )


def _described(period: Period, found: Mapping[dt.date, DayFigures]) -> str:
    days = (_sentence(found[day]) if day in found else f"{day}: could not be had" for day in period.days)
    return "; ".join(days) + "."
