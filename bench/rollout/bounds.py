"""What a number of trials allows to be said of a chance."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy import special


def upper_bound(seen: int, of: int, level: float = 0.95) -> float:
    """The largest chance by which *seen* or fewer *of* independent trials would still come as often as 1 - *level*.

    Clopper and Pearson's exact one; none seen, it is about 3 / *of* (the rule of three).
    """
    return 1.0 if seen >= of else float(special.betaincinv(seen + 1, of - seen, level))


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that *share* of them do not exceed; never one between two that were measured."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
