"""Both arms of a rollout as a picture: each metric's share over time, with the band in which the true share lies.

An SVG without script, style or address, so that any page may show it. Its colours are for light paper; a page that has a
dark one names other colours for its classes.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple
from xml.sax.saxutils import escape

from steward.rollout.bands import Band, band
from steward.rollout.glance import Glance, MetricGlance

#: In pixels at which its words are as large as a page's small print: for a screen, and for a phone.
WIDE, NARROW = 720, 380
_HEIGHT = 190
_LEFT, _RIGHT, _HEAD, _FOOT = 52, 14, 46, 34
#: A line of its own for what the arms came to, where there is no room beside the title.
_LINE = 20
#: Told apart by people who see no red and green, too (Okabe and Ito's palette).
_ON, _OFF, _INK, _QUIET, _FAINT = "#d55e00", "#0072b2", "#1f2933", "#5b6b7b", "#dde3ea"
#: A label of the time axis for so many pixels.
_APART = 110
#: Names of stages need this many pixels beside each other.
_LABEL = 44
#: What XML 1.0 has no way to write.
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MINUTE, _HOUR = 60, 3600
#: Round lengths of time, in seconds.
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)


class Point(NamedTuple):
    """One arm at one look."""

    at: float
    users: int
    hits: int

    @property
    def share(self) -> float:
        return self.hits / self.users


class _Arm(NamedTuple):
    name: str
    css: str
    colour: str
    point: Callable[[float, MetricGlance], Point]


_ARMS = (
    # The exposed last, on top.
    _Arm("others", "off", _OFF, lambda at, each: Point(at, each.off_users, each.off_hits)),
    _Arm("exposed", "on", _ON, lambda at, each: Point(at, each.on_users, each.on_hits)),
)


def draw_arms(glances: Sequence[Glance], metric: str, width: int = WIDE) -> str:
    """An SVG of *metric* over all looks, oldest first. Where it could not be judged there is a hatched gap, and no line."""
    if not any(each.of(metric) for each in glances):
        return ""
    plot = _Plot(glances, metric, width)
    shapes = [*_gaps(plot), *_grid(plot), *_stages(plot), *_bands(plot), *_lines(plot), *_legend(plot)]
    described = words(_described(plot))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="arms" role="img" viewBox="0 0 {plot.width} {plot.height}" '
        f'font-family="system-ui, sans-serif" font-size="11" aria-label="{described}">\n'
        f'<defs><clipPath id="plot-{plot.id}"><rect x="{plot.left}" y="{plot.top}" width="{plot.right - plot.left}" '
        f'height="{plot.bottom - plot.top}"/></clipPath><pattern id="gap-{plot.id}" width="6" height="6" '
        f'patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="2" height="6" class="quiet" '
        f'fill="{_QUIET}"/></pattern></defs>\n' + "\n".join(shapes) + "\n</svg>\n"
    )


def words(content: str) -> str:
    """As text or attribute of markup: a name is nothing else."""
    return escape(_UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", content), {'"': "&quot;"})


class _Plot:
    """What is drawn, and where."""

    def __init__(self, glances: Sequence[Glance], metric: str, width: int) -> None:
        self.glances, self.metric, self.width = glances, metric, width
        self.id = f"{re.sub('[^a-z0-9]', '-', metric.lower())}-{width}"
        self.left, self.right = _LEFT, width - _RIGHT
        self.top = _HEAD + (0 if width >= WIDE else _LINE)
        self.bottom = self.top + _HEIGHT - _FOOT
        self.height = self.bottom + _FOOT
        self.begin, self.end = glances[0].begun_at, max(glances[-1].at, glances[0].begun_at + 1)
        self.stages = [list(stage) for _, stage in groupby(glances, key=lambda each: each.stage)]
        self.most = _round_up(max(_levels(self), default=0.01))

    def x(self, at: float) -> str:
        return f"{self.left + (self.right - self.left) * (at - self.begin) / (self.end - self.begin):.1f}"

    def y(self, share: float) -> str:
        return f"{self.bottom - (self.bottom - self.top) * min(share / self.most, 4):.1f}"

    def runs(self, arm: _Arm) -> Iterator[list[Point]]:
        """Looks one after the other at which the arm had users and was judged: what a line may join."""
        for stage in self.stages:
            points = ((each.at, each.of(self.metric)) for each in stage)
            made = (arm.point(at, judged) if judged else None for at, judged in points)
            for there, run in groupby(made, key=lambda each: each is not None and each.users > 0):
                if there:
                    yield [each for each in run if each is not None]

    def last(self, arm: _Arm) -> Point | None:
        """Where the arm is now; None: nobody is in it, or it cannot be judged."""
        judged = self.glances[-1].of(self.metric)
        point = arm.point(self.glances[-1].at, judged) if judged else None
        return point if point and point.users else None


def _levels(plot: _Plot) -> Iterator[float]:
    """What is to be seen: every share of some users, and the band at the end of each stage. The first bands are wide."""
    for arm in _ARMS:
        for run in plot.runs(arm):
            settled = run[len(run) // 3 :]
            yield from (each.share for each in settled)
            yield min(band(run[-1].users, run[-1].hits).high, 4 * run[-1].share + 0.02)


def _gaps(plot: _Plot) -> Iterator[str]:
    """From the last look that judged it to the next."""
    judged = [each.at for each in plot.glances if each.of(plot.metric)]
    blind = [each.at for each in plot.glances if not each.of(plot.metric)]
    edges = {
        (max((e for e in judged if e < at), default=plot.begin), min((e for e in judged if e > at), default=plot.end))
        for at in blind
    }
    for left, right in sorted(edges):
        width = float(plot.x(right)) - float(plot.x(left))
        yield (
            f'<rect x="{plot.x(left)}" y="{plot.top}" width="{width:.1f}" height="{plot.bottom - plot.top}" '
            f'fill="url(#gap-{plot.id})" opacity="0.25"/>'
        )


def _grid(plot: _Plot) -> Iterator[str]:
    for part in range(3):
        share = plot.most * part / 2
        yield _rule(plot.left, plot.y(share), plot.right, plot.y(share))
        yield _text(plot.left - 6, float(plot.y(share)) + 4, _per_cent(share), anchor="end")
    step = next((each for each in _STEPS if (plot.end - plot.begin) / each <= plot.width / _APART), _STEPS[-1])
    at = math.ceil(plot.begin / step) * step
    while at <= plot.end:
        moment = dt.datetime.fromtimestamp(at, dt.UTC)
        label = f"{moment:%H:%M:%S}" if step < _MINUTE else f"{moment:%H:%M}"
        x = float(plot.x(at))
        if plot.left + _LABEL / 3 < x < plot.right - _LABEL / 3:
            yield _rule(f"{x:.1f}", plot.bottom, f"{x:.1f}", plot.bottom + 4)
            yield _text(x, plot.bottom + 17, label, anchor="middle")
        at += step


def _stages(plot: _Plot) -> Iterator[str]:
    free = 0.0
    for stage in plot.stages:
        x = float(plot.x(stage[0].begun_at if stage is plot.stages[0] else stage[0].at))
        yield f'<line x1="{x:.1f}" y1="{plot.top - 12}" x2="{x:.1f}" y2="{plot.bottom}" class="quiet" stroke="{_QUIET}" stroke-dasharray="2 3"/>'
        if x >= free:
            yield _text(x + 4, plot.top - 4, stage[0].label)
            free = x + _LABEL


def _bands(plot: _Plot) -> Iterator[str]:
    for arm in _ARMS:
        for run in plot.runs(arm):
            edges = [(each.at, band(each.users, each.hits)) for each in run]
            if len(edges) > 1:
                yield (
                    f'<path d="{_outline(plot, edges)}" class="band {arm.css}" fill="{arm.colour}" fill-opacity="0.16" '
                    f'stroke="none" clip-path="url(#plot-{plot.id})"/>'
                )


def _outline(plot: _Plot, edges: Sequence[tuple[float, Band]]) -> str:
    over = [f"{plot.x(at)} {plot.y(each.high)}" for at, each in edges]
    under = [f"{plot.x(at)} {plot.y(each.low)}" for at, each in reversed(edges)]
    return "M" + " L".join([*over, *under]) + "Z"


def _lines(plot: _Plot) -> Iterator[str]:
    for arm in _ARMS:
        for run in plot.runs(arm):
            if len(run) > 1:
                along = " L".join(f"{plot.x(each.at)} {plot.y(each.share)}" for each in run)
                yield (
                    f'<path d="M{along}" class="line {arm.css}" fill="none" stroke="{arm.colour}" stroke-width="2" '
                    f'stroke-linejoin="round" clip-path="url(#plot-{plot.id})"/>'
                )
        if last := plot.last(arm):
            yield (
                f'<circle cx="{plot.x(last.at)}" cy="{plot.y(last.share)}" r="3.5" class="dot {arm.css}" '
                f'fill="{arm.colour}" clip-path="url(#plot-{plot.id})"/>'
            )


def _legend(plot: _Plot) -> Iterator[str]:
    yield f'<text x="{plot.left}" y="16" class="ink" fill="{_INK}" font-size="13" font-weight="600">{words(plot.metric)}</text>'
    told = " ".join(
        f'<tspan class="dot {arm.css}" fill="{arm.colour}" dx="12">\N{BLACK CIRCLE}</tspan> '
        f"{arm.name} {words(_counted(plot.last(arm)))}"
        for arm in reversed(_ARMS)
    )
    y = 16 + (0 if plot.width >= WIDE else _LINE)
    yield f'<text x="{plot.right}" y="{y}" class="quiet" fill="{_QUIET}" text-anchor="end">{told}</text>'


def _counted(point: Point | None) -> str:
    return f"{_per_cent(point.share)} ({point.hits:,} of {point.users:,})" if point else "none"


def _described(plot: _Plot) -> str:
    arms = ", ".join(f"{arm.name}: {_counted(plot.last(arm))}" for arm in reversed(_ARMS))
    return f"{plot.metric} by users, over {len(plot.glances)} looks; at the last, {arms}"


def _rule(x1: float | str, y1: float | str, x2: float | str, y2: float | str) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" class="faint" stroke="{_FAINT}"/>'


def _text(x: float, y: float, content: str, *, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="quiet" fill="{_QUIET}" text-anchor="{anchor}">{words(content)}</text>'


def _per_cent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _round_up(share: float) -> float:
    """To the next 1, 2 or 5 and zeros, and to no more than all."""
    size = 10.0 ** math.floor(math.log10(share)) if share > 0 else 0.01
    return min(1.0, next(size * each for each in (1, 2, 5, 10) if size * each >= share * 0.999))
