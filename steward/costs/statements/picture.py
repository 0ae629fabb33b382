"""Pictures as SVG texts: the few shapes that a statement's pictures are made of, placed by Decimal.

No library and no script, so that the same statement makes the same bytes and a page may show them from anywhere.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal, localcontext
from typing import NamedTuple
from xml.sax.saxutils import escape

from steward.costs.money import CENT, ZERO

INK, QUIET, FAINT, BAND, PAPER = "#1f2933", "#5b6b7b", "#dde3ea", "#f6f8fa", "#ffffff"
#: Told apart by people who see no red and green, too (Okabe and Ito's palette).
TOTAL, MORE, LESS, AGREED, DOUBT = "#33475b", "#d55e00", "#0072b2", "#8a97a6", "#e69f00"
VERDICTS = {"VERIFIED": "#009e73", "REFUTED": "#d55e00", "UNKNOWN": "#e69f00"}
WIDTH = 960
MARGIN = 28
#: What XML 1.0 has no way to write.
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STEPS = (Decimal(1), Decimal(2), Decimal(5), Decimal(10))
_PIXEL = Decimal("0.01")
#: Far more than a picture has pixels.
_DIGITS = 60

Length = Decimal | int


def words(content: str) -> str:
    """As text of an SVG: a name that a provider chose is no markup."""
    return escape(_UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", content), {'"': "&quot;"})


def pixels(length: Length) -> str:
    """`12.5`; a hundredth of a pixel is the finest."""
    with localcontext() as context:
        context.prec = _DIGITS
        return f"{Decimal(length).quantize(_PIXEL).normalize():f}"


def text(
    x: Length,
    y: Length,
    content: str,
    *,
    size: int = 13,
    colour: str = INK,
    anchor: str = "start",
    weight: int = 400,
) -> str:
    """One line; its baseline is at *y*."""
    return (
        f'<text x="{pixels(x)}" y="{pixels(y)}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" '
        f'font-weight="{weight}">{words(content)}</text>'
    )


def box(x: Length, y: Length, width: Length, height: Length, fill: str, *, radius: int = 2, extra: str = "") -> str:
    """A rectangle; *extra*: attributes, as they stand."""
    return (
        f'<rect x="{pixels(x)}" y="{pixels(y)}" width="{pixels(width)}" height="{pixels(height)}" rx="{radius}" '
        f'fill="{fill}"{" " + extra if extra else ""}/>'
    )


def phrase(x: Length, y: Length, content: str, aside: str, *, weight: int = 400) -> str:
    """One line that ends at *x*, with something said aside behind it."""
    quiet = f' <tspan fill="{QUIET}" font-weight="400">{words(aside)}</tspan>' if aside else ""
    return (
        f'<text x="{pixels(x)}" y="{pixels(y)}" font-size="13" fill="{INK}" text-anchor="end" '
        f'font-weight="{weight}">{words(content)}{quiet}</text>'
    )


def legend(x: int, y: int, entries: Iterable[tuple[str, str]]) -> Iterable[str]:
    """(fill, meaning) beside each other."""
    for fill, meaning in entries:
        yield box(x, y - 9, 14, 10, fill)
        yield text(x + 20, y, meaning, size=11, colour=QUIET)
        x += 20 + 13 * len(meaning) // 2 + 22


def rule(x1: Length, y1: Length, x2: Length, y2: Length, colour: str = FAINT, *, extra: str = "") -> str:
    """A straight line."""
    return (
        f'<line x1="{pixels(x1)}" y1="{pixels(y1)}" x2="{pixels(x2)}" y2="{pixels(y2)}" stroke="{colour}"'
        f"{' ' + extra if extra else ''}/>"
    )


def badge(right: Length, y: Length, verdict: str) -> str:
    """The verdict as a label; its word says it, its colour repeats it."""
    width = 10 * len(verdict) + 26
    left = Decimal(right) - width
    return box(left, y, width, 26, VERDICTS[verdict], radius=13) + text(
        left + Decimal(width) / 2, Decimal(y) + 18, verdict, size=13, colour=PAPER, anchor="middle", weight=700
    )


def listed(names: Sequence[str], most: int = 48) -> str:
    """The names, or how many there are where a title has no room for them."""
    joined = ", ".join(names)
    return joined if len(joined) <= most else f"{len(names)} accounts"


class Scale(NamedTuple):
    """Dollars from `low` to `high` as pixels from `start` to `end`."""

    low: Decimal
    high: Decimal
    start: int
    end: int

    def at(self, amount: Decimal) -> Decimal:
        with localcontext() as context:
            context.prec = _DIGITS
            span = self.high - self.low
            part = (amount - self.low) / span if span else ZERO
            return self.start + part * (self.end - self.start)


def ticks(low: Decimal, high: Decimal, most: int = 6) -> Sequence[Decimal]:
    """Round amounts from *low* to *high*, at most *most* of them: steps of 1, 2 or 5 and zeros."""
    with localcontext() as context:
        context.prec = _DIGITS
        rough = (high - low) / most
        if rough <= 0:
            return (low,)
        size = Decimal(1).scaleb(rough.adjusted())
        step = next(size * each for each in _STEPS if size * each >= rough)
        first = (low / step).to_integral_value("ROUND_CEILING")
        count = int((high / step).to_integral_value("ROUND_FLOOR") - first) + 1
        return tuple((first + n) * step for n in range(count))


def rounded(low: Decimal, high: Decimal, most: int) -> Sequence[Decimal]:
    """As `ticks`, and one more at each end where *low* or *high* is beyond them. At least two."""
    marks = list(ticks(low, high, most))
    with localcontext() as context:
        context.prec = _DIGITS
        step = marks[1] - marks[0] if len(marks) > 1 else (high - low) or Decimal(1)
        before = [marks[0] - step] if low < marks[0] else []
        after = [marks[-1] + step] if high > marks[-1] or len(marks) == 1 else []
        return [*before, *marks, *after]


def tick_label(amount: Decimal, step: Decimal) -> str:
    """With as many digits as tell it from its neighbours, and not fewer than whole cents below a dollar."""
    with localcontext() as context:
        context.prec = _DIGITS
        exponent = min(0, step.normalize().adjusted() if step else 0)
        finest = Decimal(1).scaleb(exponent) if exponent != -1 else CENT
        shown = amount.quantize(finest)
    return drawn(f"{'-' if shown < 0 else ''}${abs(shown):,f}")


def drawn(amount: str) -> str:
    """With the sign that a typesetter takes: a hyphen is lost before a figure."""
    return amount.replace("-", "\N{MINUS SIGN}")


def svg(height: int, title: str, description: str, shapes: Iterable[str]) -> str:
    """The picture on paper of its own: a page may be dark."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="title description" '
        f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f"font-family=\"system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif\" "
        f'style="font-variant-numeric: tabular-nums; max-width: 100%; height: auto">\n'
        f'<title id="title">{words(title)}</title>\n<desc id="description">{words(description)}</desc>\n'
        f'<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        f'<rect width="6" height="6" fill="{PAPER}"/><rect width="3" height="6" fill="{AGREED}"/></pattern></defs>\n'
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="10" fill="{PAPER}" stroke="{FAINT}"/>\n'
        + "\n".join(shapes)
        + "\n</svg>\n"
    )


def data_uri(picture: str) -> str:
    """For an `![…](…)` in markdown: the page that shows it needs no other server."""
    return "data:image/svg+xml;base64," + base64.b64encode(picture.encode()).decode()
