"""Every kind of trouble with a figure that keeps it from being read, and the figures of a look that may have it."""

import math

from steward.rollout.readings import MISSING, Sample
from tests.unit.rollout.looks import BEGUN, NOW, PLAN, sample

NAN, INFINITE = math.nan, math.inf
FIGURES = [(arm_name, what) for arm_name in ("on", "off") for what in ("users", "error", "slow")]
TROUBLES = {
    "missing": MISSING,
    "without a time": Sample(value=15),
    "not a number": sample(NAN),
    "infinite": sample(INFINITE),
    "stale": sample(15, NOW - PLAN.stale_seconds - 1),
    "from the future": sample(15, NOW + 6),
    "from a time that is none": sample(15, NAN),
    "from before the step": sample(15, BEGUN - 1),
    "negative": sample(-1),
    "a rate": sample(15.3),
}
