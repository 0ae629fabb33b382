"""Rollout steps played over and over with made-up users: how often the judge errs, and how soon it decides.

The same e-values and the same limits as `steward.rollout.judge`, for many steps at once; a test plays some of them with the judge
itself and finds the same ends. Users come as a Poisson stream, each errs or does not, and a look adds them up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from steward.rollout.evalues import (
    MISMATCH_AT,
    arm_share,
    ln_e_above,
    ln_e_below,
    ln_e_flawless,
    ln_e_mismatch,
)
from steward.rollout.plan import EVERYBODY, Better, Metric, Plan
from steward.rollout.readings import Frozen
from steward.rollout.weighing import LEANS_AT, hits_in_all, is_rare, limits_of

Grid = npt.NDArray[np.int64]
"""Counts so far, a row a replay, a column a look."""
_NEVER = math.inf


class Rates(NamedTuple):
    """A metric's share among the other users, and how many times as large it is among the exposed."""

    share: float
    ratio: float = 1.0


class Scenario(NamedTuple):
    """What users do."""

    exposure: int = 5
    users_per_second: float = 100.0
    rates: Mapping[str, Rates] = {"error": Rates(0.01)}
    """By the metric's name; every metric of the plan."""


class Played(NamedTuple):
    """What was counted."""

    at: npt.NDArray[np.float64]
    """Seconds since the step began, a value a look."""
    on: Grid
    off: Grid
    on_hits: Mapping[str, Grid]
    off_hits: Mapping[str, Grid]


class Quantiles(Frozen):
    """Seconds; None: less than that many decided so."""

    p50: float | None
    p90: float | None
    p99: float | None


class Replayed(Frozen):
    """What came of all replays."""

    replays: int
    rolled_back: int
    """On evidence of harm; the deadline is none."""
    went_on: int
    undecided: int
    """Rolled back at the deadline."""
    seconds_to_roll_back: Quantiles
    seconds_to_go: Quantiles

    @property
    def rolled_back_percent(self) -> float:
        return 100 * self.rolled_back / self.replays

    @property
    def went_on_percent(self) -> float:
        return 100 * self.went_on / self.replays


def replay(scenario: Scenario, plan: Plan, replays: int, seed: int) -> Replayed:
    """*replays* steps of *scenario*, each until it is decided or the plan's deadline."""
    back, go = ends(play(scenario, plan, replays, seed), scenario, plan)
    harmed, passed = np.isfinite(back) & (back <= go), go < back
    return Replayed(
        replays=replays,
        rolled_back=int(harmed.sum()),
        went_on=int(passed.sum()),
        undecided=int(replays - harmed.sum() - passed.sum()),
        seconds_to_roll_back=_quantiles(np.where(harmed, back, _NEVER)),
        seconds_to_go=_quantiles(np.where(passed, go, _NEVER)),
    )


def play(scenario: Scenario, plan: Plan, replays: int, seed: int) -> Played:
    """The counts at every look up to the deadline."""
    random = np.random.default_rng(seed)
    looks = int(plan.deadline_seconds // plan.look_seconds)
    weight, come = scenario.exposure / EVERYBODY, scenario.users_per_second * plan.look_seconds
    on, off = random.poisson(come * weight, (replays, looks)), random.poisson(come * (1 - weight), (replays, looks))
    on_hits: dict[str, Grid] = {}
    off_hits: dict[str, Grid] = {}
    for metric in plan.metrics:
        rates = scenario.rates[metric.name]
        on_hits[metric.name] = random.binomial(on, min(1.0, rates.share * rates.ratio)).cumsum(1)
        off_hits[metric.name] = random.binomial(off, rates.share).cumsum(1)
    at = plan.look_seconds * np.arange(1, looks + 1, dtype=float)
    return Played(at, on.cumsum(1), off.cumsum(1), on_hits, off_hits)


def ends(played: Played, scenario: Scenario, plan: Plan) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """For each replay: seconds until harm is shown, and until it may go on; infinite where it never comes to it."""
    weight = scenario.exposure / EVERYBODY
    harmed = np.zeros(played.on.shape, bool)
    passes = (played.at >= plan.minimum_seconds) & (played.on >= plan.minimum_users) & (played.off > 0)
    passes &= ln_e_mismatch(played.on, played.on + played.off, weight) < math.log(MISMATCH_AT)
    for metric in plan.metrics:
        bad, good = _decided(metric, played, weight, plan)
        harmed |= bad
        passes &= good
    return _first(harmed, played), _first(passes, played)


def _decided(
    metric: Metric, played: Played, weight: float, plan: Plan
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Where harm by *metric* is shown, and where its health is."""
    limits = limits_of(plan, 0)
    on, off = played.on_hits[metric.name], played.off_hits[metric.name]
    few, share = (on, weight) if metric.better is Better.LOWER else (off, 1 - weight)
    bad = ln_e_above(few, on + off, arm_share(share, 1 + metric.tolerance)) >= limits.bad
    good = ln_e_below(few, on + off, arm_share(share, plan.bad_ratio_of(metric))) >= limits.good
    if metric.better is Better.LOWER:
        good |= (on + off == 0) & (ln_e_flawless(played.on, metric.slo) >= limits.good)
    if is_rare(metric, None, plan):
        good |= _within_slo_where_rare(metric, played, share, plan)
    return bad, good


def _within_slo_where_rare(metric: Metric, played: Played, weight: float, plan: Plan) -> npt.NDArray[np.bool_]:
    on, off = played.on_hits[metric.name], played.off_hits[metric.name]
    needed = limits_of(plan, 0).good
    in_all = hits_in_all(weight, arm_share(weight, plan.bad_ratio_of(metric)), needed)
    rare = (on + off > 0) & ((in_all or math.inf) * played.at > plan.deadline_seconds * (on + off))
    leans = ln_e_above(on, on + off, arm_share(weight, 1 + metric.tolerance)) >= LEANS_AT
    return rare & ~leans & (ln_e_below(on, played.on, metric.slo) >= needed)


def _first(true: npt.NDArray[np.bool_], played: Played) -> npt.NDArray[np.float64]:
    return np.where(true.any(1), played.at[true.argmax(1)], _NEVER)


def _quantiles(seconds: npt.NDArray[np.float64]) -> Quantiles:
    decided = seconds[np.isfinite(seconds)]
    if not decided.size:
        return Quantiles(p50=None, p90=None, p99=None)
    p50, p90, p99 = (float(each) for each in np.quantile(decided, (0.5, 0.9, 0.99)))
    return Quantiles(p50=p50, p90=p90, p99=p99)
