"""No slower than the last certified release: pairs of measurements, and what their ratios prove.

Machines drift, so the two are measured one right after the other, and only the ratio within a pair counts; which of them
goes first is drawn. Nothing is assumed of how times are distributed: exchanged within a pair, two alike would give the
ratio's reciprocal as often, and that symmetry alone carries the interval (Hodges and Lehmann's of the median, by the exact
distribution of Wilcoxon's signed ranks; Hollander and Wolfe, Nonparametric Statistical Methods, §3.2-3.3).
"""

from __future__ import annotations

import json
import math
import random
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from steward.errors import StewardError
from steward.verdicts import Verdict

#: Of all looks together: each has its part of the error, so that to look again proves nothing by itself.
LEVEL = 0.95
#: Eleven days: what is longer is no time. It keeps whole numbers without end out of the arithmetic, too.
_LONGEST_MS = 1e9


class NoFigure(StewardError):
    """A measurement ran to its end and printed no figure that it can be compared by."""

    def __init__(self, saw: str, figure: str) -> None:
        super().__init__(
            f"the performance command printed {saw}",
            hint=f'expected as its last line {{"{figure}": 12.1}}, or a list of such numbers, all above 0',
        )


class Pair(NamedTuple):
    """What the same command measured of the two releases, one right after the other, in milliseconds."""

    candidate: float
    certified: float


class Slowdown(NamedTuple):
    """How many times as long the candidate takes, and where the true ratio lies."""

    pairs: int
    ratio: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.ratio:.3f} times as long ({self.low:.3f} to {self.high:.3f}, {self.pairs} pairs)"


class Comparison(NamedTuple):
    """What the pairs so far come to. UNKNOWN with pairs to come is no end."""

    verdict: Verdict
    slowdown: Slowdown | None
    says: str


def read_figure(output: str, name: str) -> float:
    """The figure *name* of one measurement, from the last line that is not empty; of several numbers their median.

    NoFigure tells what was there instead; an empty list, a zero, NaN or infinity is no figure.
    """
    lines = [line for line in output.splitlines() if line.strip()]
    if not lines:
        raise NoFigure("nothing", name)
    try:
        told = json.loads(lines[-1])
    except ValueError:
        raise NoFigure("a last line that is no JSON", name) from None
    if not isinstance(told, dict) or name not in told:
        raise NoFigure(f"a last line without {name}", name)
    return _median(cast("dict[str, Any]", told)[name], name)


def _median(value: Any, name: str) -> float:
    values: list[Any] = cast("list[Any]", value) if isinstance(value, list) else [value]
    if not values:
        raise NoFigure(f"an empty list of {name}", name)
    if not all(_is_time(each) for each in values):
        raise NoFigure(f"{name} that are not above 0, or no numbers", name)
    return float(statistics.median(values))


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= _LONGEST_MS


def plan_looks(first: int, most: int) -> tuple[int, ...]:
    """After how many pairs it is looked whether they decide: after *first*, each time after twice as many, and after *most*.

    Not after fewer than can decide: such a look would cost its part of the error, and find nothing.
    """
    looks = [first]
    while looks[-1] * 2 < most:
        looks.append(looks[-1] * 2)
    looks = list(dict.fromkeys((*looks, most)))
    # All signs alike, either way, is the least likely that so many pairs can be.
    while len(looks) > 1 and 2 ** (1 - looks[0]) > (1 - LEVEL) / len(looks):
        del looks[0]
    return tuple(looks)


def draw_order(seed: str, pairs: int) -> tuple[bool, ...]:
    """Of each pair, whether the candidate goes first. The same for the same *seed*, so that whoever repeats it goes alike."""
    drawing = random.Random(seed)  # noqa: S311  nobody gains by guessing it
    return tuple(drawing.random() < 1 / 2 for _ in range(pairs))


def compare_pairs(pairs: Sequence[Pair], tolerance: float, looks: Sequence[int]) -> Comparison:
    """VERIFIED: less than 1 + *tolerance* times as long; REFUTED: longer; UNKNOWN: these pairs do not tell.

    Decides after as many pairs as one of *looks* says, and never between.
    """
    if len(pairs) not in looks:
        return Comparison(Verdict.UNKNOWN, None, f"{len(pairs)} pairs measured, {looks[0]} are the fewest that decide")
    slowdown = estimate_slowdown(pairs, 1 - (1 - LEVEL) / len(looks))
    allowed = f"{1 + tolerance:g} are allowed"
    if slowdown.high < 1 + tolerance:
        return Comparison(Verdict.VERIFIED, slowdown, f"takes {slowdown}; {allowed}")
    if slowdown.low > 1 + tolerance:
        return Comparison(Verdict.REFUTED, slowdown, f"slower: takes {slowdown}; {allowed}")
    return Comparison(Verdict.UNKNOWN, slowdown, f"too uneven to tell: takes {slowdown}; {allowed}")


def estimate_slowdown(pairs: Sequence[Pair], level: float) -> Slowdown:
    """The median ratio with its interval at *level*; from too few pairs for that level, one without ends."""
    logs = [math.log(each.candidate / each.certified) for each in pairs]
    means = sorted((logs[i] + logs[j]) / 2 for i in range(len(logs)) for j in range(i + 1))
    outside = _ranks_outside(len(logs), (1 - level) / 2)
    low, high = (means[outside - 1], means[-outside]) if outside else (-math.inf, math.inf)
    return Slowdown(len(pairs), math.exp(statistics.median(means)), math.exp(low), math.exp(high))


def _ranks_outside(count: int, chance: float) -> int:
    """How many sums of signed ranks, from the least on, have together at most *chance*."""
    # ways[s]: of the 2 ** count choices of signs, those whose positive ranks add up to s.
    ways = [1]
    for rank in range(1, count + 1):
        longer = ways + [0] * rank
        ways = [here + (ways[at - rank] if at >= rank else 0) for at, here in enumerate(longer)]
    total, outside = 0, 0
    for number in ways:
        total += number
        if total > chance * 2**count:
            break
        outside += 1
    return outside
