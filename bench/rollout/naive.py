"""The rival: a z-test of two shares, looked at as often as ours, which assumes that one looks once.

As it is usually written: one side, the standard error of the pooled share, ten users who err before it speaks. It sees the very counts
that ours sees.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from steward.rollout.plan import Plan
from steward.rollout.replays import Played

#: A normal approximation of fewer is none.
LEAST_HITS = 10
Looks = npt.NDArray[np.bool_]
"""A row a replay, a column a look."""


def flags(played: Played, plan: Plan, chance: float) -> Looks:
    """Where it says of any metric that the exposed do worse, each tested at its part of *chance*."""
    found = np.zeros(played.on.shape, bool)
    for metric in plan.metrics:
        found |= _flags(played, metric.name, chance / len(plan.metrics))
    return found


def passes(played: Played, plan: Plan, chance: float) -> Looks:
    """Where it says of every metric that the exposed do less than `bad_ratio` times as badly, at *chance*."""
    found = played.at >= plan.minimum_seconds
    for metric in plan.metrics:
        found = found & _passes(played, metric.name, plan.bad_ratio_of(metric), chance)
    return np.broadcast_to(found, played.on.shape)


def _flags(played: Played, metric: str, chance: float) -> Looks:
    on, off = played.on_hits[metric], played.off_hits[metric]
    users = np.maximum(played.on, 1), np.maximum(played.off, 1)
    pooled = (on + off) / (users[0] + users[1])
    error = np.sqrt(pooled * (1 - pooled) * (1 / users[0] + 1 / users[1]))
    return (on + off >= LEAST_HITS) & (on / users[0] - off / users[1] > _limit(chance) * error)


def _passes(played: Played, metric: str, ratio: float, chance: float) -> Looks:
    users = np.maximum(played.on, 1), np.maximum(played.off, 1)
    on, off = played.on_hits[metric] / users[0], played.off_hits[metric] / users[1]
    error = np.sqrt(on * (1 - on) / users[0] + ratio**2 * off * (1 - off) / users[1])
    enough = played.on_hits[metric] + played.off_hits[metric] >= LEAST_HITS
    return enough & (ratio * off - on > _limit(chance) * error)


def _limit(chance: float) -> float:
    return float(special.ndtri(1 - chance))
