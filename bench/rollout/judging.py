"""How often the judge errs, and how soon it is right: steps of the default plan, played over and over with made-up users."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.ground import progress
from bench.rollout import naive
from bench.rollout.bounds import upper_bound
from steward.rollout.plan import Plan
from steward.rollout.replays import Played, Rates, Replayed, Scenario, ends, play, replay

#: Of both arms; slower than the baseline's p95 is one user in twenty by definition.
ERRING, SLOW = 0.01, 0.05
USERS_PER_SECOND, EXPOSURE = 100.0, 5
BAD, REGRESSION = 2.0, 5.0
#: As such tests are usually set up, whatever the plan's own.
_USUAL = 0.05
_GOAL_SECONDS = 90.0
#: Between two looks at releases whose errors are counted: as often as the rival is run. The way back is at the plan's own.
_LOOK_SECONDS = 5.0


def measure(*, replays: int, seed: int) -> dict[str, Any]:
    """*replays* of each: the same release, one that errs twice, and one that errs five times as often."""
    progress(f"  {'errs … times as often':24} {'rolled back':>12} {'gone on':>9} {'seconds to it, p50 / p90':>26}")
    plan, rare = Plan(), Plan(look_seconds=_LOOK_SECONDS)
    same, twice = (_replayed(ratio, rare, replays, seed) for ratio in (1.0, BAD))
    more = _replayed(REGRESSION, plan, replays, seed)
    harmed, _ = ends(play(scenario(REGRESSION), plan, replays, seed), scenario(REGRESSION), plan)
    return {
        "false_rollback_percent": round(same.rolled_back_percent, 3),
        "false_rollback_upper_percent": _percent_at_most(same.rolled_back, replays),
        "false_go_percent": round(twice.went_on_percent, 3),
        "false_go_upper_percent": _percent_at_most(twice.went_on, replays),
        "rollback_replayed_p50_seconds": more.seconds_to_roll_back.p50,
        "rollback_replayed_p90_seconds": more.seconds_to_roll_back.p90,
        "rollback_replayed_within_90_percent": _share(harmed < _GOAL_SECONDS),
        "replays": replays,
        **_rivals(rare, replays, seed),
    }


def scenario(ratio: float) -> Scenario:
    """Users of whom the exposed err *ratio* times as often, and are no slower."""
    return Scenario(EXPOSURE, USERS_PER_SECOND, {"error": Rates(ERRING, ratio), "slow": Rates(SLOW)})


def _replayed(ratio: float, plan: Plan, replays: int, seed: int) -> Replayed:
    found = replay(scenario(ratio), plan, replays, seed)
    back, go = found.seconds_to_roll_back, found.seconds_to_go
    times = back if found.rolled_back >= found.went_on else go
    progress(f"  {ratio:<24g} {found.rolled_back:12,} {found.went_on:9,} {times.p50 or 0:18g} / {times.p90 or 0:g}")
    return found


def _rivals(plan: Plan, replays: int, seed: int) -> dict[str, float]:
    """Ours and the z-test on the same counts, looked at for the whole of the deadline, whoever has decided meanwhile."""
    same, twice, more = (play(scenario(ratio), plan, replays, seed) for ratio in (1.0, BAD, REGRESSION))
    harmed, _ = ends(same, scenario(1.0), plan)
    found = {"false_rollback_of_an_hour_percent": _share(harmed < math.inf)}
    for name, chance in (("naive", _USUAL), ("naive_at_alpha", plan.alpha)):
        found[f"{name}_false_rollback_of_an_hour_percent"] = _share(naive.flags(same, plan, chance).any(1))
        goes = _first(naive.passes(twice, plan, plan.beta), twice) < _first(naive.flags(twice, plan, chance), twice)
        found[f"{name}_false_go_percent"] = _share(goes)
        back = _first(naive.flags(more, plan, chance), more)
        found[f"{name}_rollback_p90_seconds"] = float(np.quantile(back, 0.9))
    return found


def _first(looks: naive.Looks, played: Played) -> npt.NDArray[np.float64]:
    return np.where(looks.any(1), played.at[looks.argmax(1)], math.inf)


def _share(of: Any) -> float:
    return round(100 * float(np.mean(of)), 3)


def _percent_at_most(seen: int, of: int) -> float:
    return round(100 * upper_bound(seen, of), 3)
