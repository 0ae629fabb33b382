"""The waterfall of a statement: from the ledger over each cause to the bill, and from the bill to what has to be paid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from steward.costs.causes import Cause
from steward.costs.money import CENT, ZERO, exactly, less, shown, signed, total
from steward.costs.statements import picture
from steward.costs.statements.figures import CauseAmount, Figures
from steward.costs.statements.labels import LABELS, label
from steward.costs.statements.picture import MARGIN, WIDTH, Scale, box, rule, text, tick_label, ticks
from steward.costs.statements.statement import Statement

#: Steps that have a bar of their own; the smallest besides share one.
MOST_STEPS = 14
_BILLED = ("Billed", "before credits and tax")
_LEFT, _RIGHT, _AMOUNTS = 270, 800, WIDTH - MARGIN
_HEAD, _ROW, _BAR, _AXIS = 92, 32, 18, 42
_LEGEND = (
    (picture.MORE, "billed more"),
    (picture.LESS, "billed less"),
    ("url(#hatch)", "agreed, or by law"),
    (picture.DOUBT, "without a cause"),
)
#: So that a step of a cent is seen beside one of a thousand dollars.
_THINNEST = Decimal("2.5")


class Kind(StrEnum):
    """What a bar is."""

    TOTAL = "total"
    """From nothing to a sum."""
    STEP = "step"
    """From one sum to the next."""
    AGREED = "agreed"
    """A step that was agreed, and is no variance."""
    UNEXPLAINED = "unexplained"


_STEPS = frozenset({Kind.STEP, Kind.AGREED})


class Bar(NamedTuple):
    """Each begins where the one before it ends; totals stand on nothing and end there, too."""

    label: str
    note: str
    kind: Kind
    begin: Decimal
    end: Decimal

    @property
    def amount(self) -> Decimal:
        return less(self.end, self.begin)


def bars(figures: Figures) -> tuple[Bar, ...]:
    """From the ledger to the bill: the largest step first, what has no cause last."""
    named, small = _split(figures.above)
    steps = [(label(each.cause, agreed=each.agreed), _count(each.shares), _kind(each), each.amount) for each in named]
    if small:
        steps.append((f"{len(small)} smaller causes", "", Kind.STEP, total(each.amount for each in small)))
    # Days that make up for each other would leave a short bar, or none.
    daily = figures.unexplained_daily if figures.unexplained_daily != abs(figures.unexplained) else ZERO
    note = f"{shown(daily)} day by day" if daily else ""
    steps.append((LABELS[Cause.UNEXPLAINED], note, Kind.UNEXPLAINED, figures.unexplained))
    return _joined(("Our ledger", "at list prices", figures.ledger), steps, _BILLED)


def bars_below(figures: Figures) -> tuple[Bar, ...]:
    """From the bill to what has to be paid; none without an invoice."""
    if figures.payable is None:
        return ()
    steps = [(label(each.cause, agreed=each.agreed), "", Kind.AGREED, each.amount) for each in figures.below]
    return _joined((*_BILLED, figures.billed), steps, ("To be paid", ""))


def _split(causes: Sequence[CauseAmount]) -> tuple[Sequence[CauseAmount], Sequence[CauseAmount]]:
    """Those with a bar of their own; a single small one has one, too."""
    small = [each for each in causes if abs(each.amount) < CENT / 2] if len(causes) > MOST_STEPS else []
    named = [each for each in causes if each not in small]
    if len(named) > MOST_STEPS:
        named, small = named[: MOST_STEPS - 1], [*named[MOST_STEPS - 1 :], *small]
    return (causes, ()) if len(small) == 1 else (named, small)


def _joined(
    first: tuple[str, str, Decimal], steps: Iterable[tuple[str, str, Kind, Decimal]], last: tuple[str, str]
) -> tuple[Bar, ...]:
    level = first[2]
    found = [Bar(first[0], first[1], Kind.TOTAL, ZERO, level)]
    for name, note, kind, amount in steps:
        with exactly():
            found.append(Bar(name, note, kind, level, level + amount))
        level = found[-1].end
    return (*found, Bar(last[0], last[1], Kind.TOTAL, ZERO, level))


def _kind(cause: CauseAmount) -> Kind:
    return Kind.AGREED if cause.agreed else Kind.STEP


def _count(shares: int) -> str:
    return f"{shares:,} share{'s' if shares != 1 else ''}"


def draw_waterfall(statement: Statement) -> str:
    """An SVG. Of a statement that is UNKNOWN it shows no amount."""
    title = f"Costs of {picture.listed(statement.accounts)}, {statement.period}"
    figures = statement.figures
    if figures is None:
        return _unknown(title, statement)
    above, below = bars(figures), bars_below(figures)
    shapes = [*_head(title, _lead(figures), statement), *_panel(above, _scale(above), _HEAD)]
    height = _HEAD + _ROW * len(above) + _AXIS
    if below:
        shapes += _panel(below, _from_nothing(below), height + 14)
        height += 14 + _ROW * len(below) + _AXIS
    shapes += picture.legend(_LEFT, height + 16, _LEGEND)
    return picture.svg(height + 38, title, _described(statement, (*above, *below)), shapes)


def _lead(figures: Figures) -> str:
    difference = less(figures.billed, figures.ledger)
    billed = picture.drawn(f"{shown(figures.billed)} is billed")
    if not difference:
        return f"{billed}, and the ledger has the same"
    return f"{billed}: {shown(abs(difference))} {'more' if difference > 0 else 'less'} than the ledger has"


def _unknown(title: str, statement: Statement) -> str:
    told = f"No cost can be told: {statement.findings[0]}" if statement.findings else "No cost can be told"
    cut = told if len(told) <= 110 else told[:109] + "\N{HORIZONTAL ELLIPSIS}"  # noqa: PLR2004  what one line holds
    shapes = [*_head(title, cut, statement), box(MARGIN, 84, WIDTH - 2 * MARGIN, 60, "url(#hatch)", radius=6)]
    return picture.svg(172, title, f"UNKNOWN. {told}", shapes)


def _head(title: str, lead: str, statement: Statement) -> Iterator[str]:
    yield text(MARGIN, 42, title, size=19, weight=700)
    yield text(MARGIN, 66, lead, size=14, colour=picture.QUIET)
    yield picture.badge(WIDTH - MARGIN, 22, statement.verdict)


def _panel(shown_bars: Sequence[Bar], scale: Scale, top: int) -> Iterator[str]:
    bottom = top + _ROW * len(shown_bars)
    for y in range(top, bottom, 2 * _ROW):
        yield box(MARGIN - 10, y, WIDTH - 2 * MARGIN + 20, _ROW, picture.BAND, radius=5)
    yield from _grid(scale, top, bottom)
    for row, bar in enumerate(shown_bars):
        yield from _row(bar, scale, top + _ROW * row)
        if row + 1 < len(shown_bars):
            x, y = scale.at(bar.end), top + _ROW * row + _ROW // 2
            yield rule(x, y + _BAR // 2, x, y + _ROW - _BAR // 2, picture.QUIET)


def _scale(shown_bars: Sequence[Bar]) -> Scale:
    """From nothing on, unless all of the steps are far from it: then the axis begins near them, and says so."""
    levels = [bar.end for bar in shown_bars] + [bar.begin for bar in shown_bars if bar.kind is not Kind.TOTAL]
    low, high = min(levels), max(levels)
    with exactly():
        span = high - low
        if low > 0 and span * 4 < high:
            room = span * Decimal("0.12") if span else high * Decimal("0.01")
            return Scale(low - room, high + room, _LEFT, _RIGHT)
    return _from_nothing(shown_bars)


def _from_nothing(shown_bars: Iterable[Bar]) -> Scale:
    levels = [level for bar in shown_bars for level in (bar.begin, bar.end)]
    return Scale(min(*levels, ZERO), max(*levels, ZERO) or Decimal(1), _LEFT, _RIGHT)


def _grid(scale: Scale, top: int, bottom: int) -> Iterator[str]:
    marks = ticks(scale.low, scale.high)
    step = less(marks[1], marks[0]) if len(marks) > 1 else ZERO
    for mark in marks:
        x = scale.at(mark)
        yield rule(x, top, x, bottom + 4)
        yield text(x, bottom + 20, tick_label(mark, step), size=11, colour=picture.QUIET, anchor="middle")
    if scale.low > 0:
        note = f"torn: the axis begins at {shown(scale.low)}"
        yield text(_LEFT - 30, bottom + 20, note, size=11, colour=picture.QUIET, anchor="end")


def _row(bar: Bar, scale: Scale, y: int) -> Iterator[str]:
    middle = y + _ROW // 2
    is_total = bar.kind is Kind.TOTAL
    weight = 700 if is_total else 400
    yield f"<g><title>{picture.words(_sentence(bar))}</title>"
    yield picture.phrase(_LEFT - 16, middle + 5, bar.label, "" if bar.kind in _STEPS else bar.note, weight=weight)
    yield from _shape(bar, scale, middle)
    amount = shown(bar.end) if is_total else signed(bar.amount)
    yield text(_AMOUNTS, middle + 5, picture.drawn(amount), anchor="end", weight=weight)
    yield "</g>"


def _shape(bar: Bar, scale: Scale, middle: int) -> Iterator[str]:
    if bar.kind is not Kind.TOTAL and not bar.amount:
        x = scale.at(bar.end)
        yield rule(x, middle - _BAR // 2, x, middle + _BAR // 2, picture.QUIET)
        return
    ends = sorted((scale.at(max(bar.begin, scale.low)), scale.at(bar.end)))
    width = max(ends[1] - ends[0], _THINNEST)
    left = ends[0] - (width - (ends[1] - ends[0])) / 2
    yield box(left, middle - _BAR // 2, width, _BAR, _colour(bar))
    if bar.kind is Kind.TOTAL and scale.low > 0:
        # Torn, since the bar is longer than the picture.
        for x in (left + 12, left + 18):
            yield rule(
                x - 4, middle + _BAR // 2 + 2, x + 4, middle - _BAR // 2 - 2, picture.PAPER, extra='stroke-width="3"'
            )


def _colour(bar: Bar) -> str:
    fixed = {Kind.TOTAL: picture.TOTAL, Kind.AGREED: "url(#hatch)", Kind.UNEXPLAINED: picture.DOUBT}
    return fixed.get(bar.kind, picture.MORE if bar.amount > 0 else picture.LESS)


def _sentence(bar: Bar) -> str:
    amount = shown(bar.end) if bar.kind is Kind.TOTAL else signed(bar.amount)
    return f"{bar.label}{f' ({bar.note})' if bar.note else ''}: {amount}"


def _described(statement: Statement, shown_bars: Iterable[Bar]) -> str:
    return f"{statement.verdict}. " + "; ".join(_sentence(bar) for bar in shown_bars) + "."
