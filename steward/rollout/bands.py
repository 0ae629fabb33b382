"""Where the true share of one arm lies, whatever the time at which somebody looks.

The same e-value as in `steward.rollout.intervals`, of one arm alone and by logarithms alone: a picture has hundreds of looks,
and is drawn by a server that starts within a moment.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

_PRIOR = 0.5
#: Halvings: finer than any pixel.
_HALVINGS = 30


class Band(NamedTuple):
    """Shares, from 0 to 1."""

    low: float
    high: float


def band(users: int, hits: int, level: float = 0.95) -> Band:
    """All shares against which there is less evidence than 1/(1 - *level*): with that chance, the true one at all times.

    A Beta(½, ½) mixture against the point: Robbins's, and Ville's inequality makes it hold at every look.
    """
    if users < 1:
        return Band(0.0, 1.0)
    budget, seen = math.log(1 / (1 - level)), hits / users
    constant = _ln_beta(_PRIOR + hits, _PRIOR + users - hits) - _ln_beta(_PRIOR, _PRIOR) - budget

    def is_out(share: float) -> bool:
        against = constant
        against -= hits * math.log(share) if hits else 0.0
        against -= (users - hits) * math.log1p(-share) if users > hits else 0.0
        return against > 0

    return Band(
        _halved(0.0, seen, is_out) if hits else 0.0,
        _halved(1.0, seen, is_out) if hits < users else 1.0,
    )


def _halved(out: float, within: float, is_out: Callable[[float], bool]) -> float:
    """The edge between a share that is out and one that is within: evidence only grows away from what was seen."""
    for _ in range(_HALVINGS):
        middle = (out + within) / 2
        out, within = (middle, within) if is_out(middle) else (out, middle)
    return out


def _ln_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
