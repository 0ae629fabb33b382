"""Evidence that may be looked at at any time: natural logarithms of e-values, over plain counts.

An e-value is at most 1 on average while its hypothesis holds, at whatever time one stops to look; so that it ever comes to
200 has a chance of at most one in 200 (Ville). Each here is the likelihood under a mixture of Beta(a, b), cut off where the hypothesis
ends, over the likelihood at its edge (Robbins 1970; Howard et al. 2021, "Time-uniform, nonparametric, nonasymptotic
confidence sequences"). Counts are floats or arrays that broadcast. What is below e⁻⁶⁹⁰ is given as that: it decides nothing.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

# numpy and scipy are imported where they count: a quarter of a second, which every run's process would pay before its
# first step, and a rollout needs them minutes later.
if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Counts = float | npt.NDArray[Any]
    LogE = npt.NDArray[np.float64]

LEAST = -690.0
"""e⁻⁶⁹⁰: below it the cut-off Beta underflows. The true value is higher (about one over the counts), so nothing is overstated."""
_LEAST_WHOLE = sys.float_info.min
_SPLIT_STRENGTH = 100.0
"""How near the planned split a mismatch is looked for: as if 100 users had been seen to split as planned."""
MISMATCH_AT = 1000.0
"""A split as planned comes to this once in a thousand rollouts."""


def arm_share(weight: float, ratio: float) -> float:
    """Which part of those who err is exposed, where *weight* of all users are and err *ratio* times as often."""
    return ratio * weight / (ratio * weight + 1 - weight)


def ln_e_above(hits: Counts, of: Counts, share: float) -> LogE:
    """Against "at most *share* of them": high where more are. *hits* of *of*, which came one after the other."""
    from scipy import special  # noqa: PLC0415  the reason stands above

    b = _b(share)
    mixed = special.betaln(1 + hits, b + of - hits) + _ln(special.betaincc(1 + hits, b + of - hits, share))
    prior = special.betaln(1, b) + _ln(special.betaincc(1, b, share))
    return _floored(mixed - prior - _ln_likelihood(hits, of, share))


def ln_e_below(hits: Counts, of: Counts, share: float) -> LogE:
    """Against "at least *share* of them": high where fewer are."""
    from scipy import special  # noqa: PLC0415  the reason stands above

    b = _b(share)
    mixed = special.betaln(1 + hits, b + of - hits) + _ln(special.betainc(1 + hits, b + of - hits, share))
    prior = special.betaln(1, b) + _ln(special.betainc(1, b, share))
    return _floored(mixed - prior - _ln_likelihood(hits, of, share))


def ln_e_flawless(users: Counts, slo: float) -> LogE:
    """Against "at least *slo* of users err", where none of *users* did."""
    import numpy as np  # noqa: PLC0415  the reason stands above

    return np.asarray(-np.asarray(users, float) * np.log1p(-slo))


def ln_e_mismatch(exposed: Counts, of: Counts, weight: float) -> LogE:
    """Against "users split as planned": *exposed* of *of*, where *weight* was planned."""
    from scipy import special  # noqa: PLC0415  the reason stands above

    a, b = _SPLIT_STRENGTH * weight, _SPLIT_STRENGTH * (1 - weight)
    mixed = special.betaln(a + exposed, b + of - exposed) - special.betaln(a, b)
    return _floored(mixed - _ln_likelihood(exposed, of, weight))


def _b(share: float) -> float:
    # On average the mixture then lies at the edge, and where the edge is above a half it is even, not heaped at 1.
    return max(1.0, (1 - share) / share)


def _ln_likelihood(hits: Counts, of: Counts, share: float) -> Any:
    import numpy as np  # noqa: PLC0415  the reason stands above

    return hits * np.log(share) + (of - hits) * np.log1p(-share)


def _ln(value: Any) -> Any:
    """What is too small to have all its digits is taken for nothing, which understates it."""
    import numpy as np  # noqa: PLC0415  the reason stands above

    with np.errstate(divide="ignore"):
        return np.log(np.where(np.asarray(value) < _LEAST_WHOLE, 0.0, value))


def _floored(value: Any) -> LogE:
    import numpy as np  # noqa: PLC0415  the reason stands above

    return np.maximum(np.asarray(value, float), LEAST)
