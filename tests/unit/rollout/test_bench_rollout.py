"""The bench of rollouts counts what it says that it counts, and what its rival does."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from bench.rollout import canary, judging, naive, regressions
from bench.rollout.bounds import quantile, upper_bound
from bench.rollout.listening import NotToldOf, listening
from bench.rollout.shop import HeldToIt
from demo.shop.fates import errs
from demo.shop.releases import read
from demo.shop.visits import Answer
from steward.rollout.plan import Plan
from steward.rollout.replays import ends, play

ON, OFF = "on", "off"


def test_none_of_100_000_allows_30_of_a_million_and_no_more() -> None:
    assert 1e6 * upper_bound(0, 100_000) == pytest.approx(30, rel=0.01)


def test_bound_is_what_would_still_be_seen_so_rarely() -> None:
    chance = upper_bound(2, 50)
    terms = [(1 - chance) ** 50, 50 * chance * (1 - chance) ** 49, 1225 * chance**2 * (1 - chance) ** 48]
    assert sum(terms) == pytest.approx(0.05)
    assert upper_bound(3, 3) == 1


def test_quantile_is_a_value_that_was_measured() -> None:
    values = [float(each) for each in range(10, 0, -1)]
    assert [quantile(values, share) for share in (0.01, 0.5, 0.9, 0.91, 1)] == [1, 5, 9, 10, 10]
    assert quantile([3.0], 0.9) == 3


def test_whoever_loses_it_at_any_step_left_the_canary() -> None:
    assert canary.left([[ON, OFF, ON], [OFF, ON, ON], [ON, ON, ON]]) == 1
    assert canary.left([[ON, OFF], [None, OFF]]) == 1
    assert canary.left([[OFF, OFF], [OFF, ON], [ON, ON]]) == 0


def test_rival_that_is_looked_at_again_and_again_errs_where_ours_does_not() -> None:
    scenario, plan = judging.scenario(1.0), Plan(deadline_seconds=1200)
    played = play(scenario, plan, 200, seed=3)
    harmed, _ = ends(played, scenario, plan)
    looked_at_once = naive.flags(played, plan, 0.05)[:, -1].mean()
    assert looked_at_once < 0.1
    assert naive.flags(played, plan, 0.05).any(1).mean() > 0.2
    assert np.isfinite(harmed).mean() <= 0.01


def test_rival_flags_five_times_as_many_errors() -> None:
    played = play(judging.scenario(5.0), Plan(deadline_seconds=600), 100, seed=3)
    assert naive.flags(played, Plan(), 0.01)[:, -1].mean() > 0.99
    assert not naive.passes(played, Plan(), 0.05)[:, -1].any()


def test_plan_is_the_default_one_but_for_the_availability_that_the_shop_never_has() -> None:
    ours, default = regressions.plan(), Plan()
    assert ours.model_copy(update={"guards": default.guards}) == default
    assert [each.name for each in ours.guards if each not in default.guards] == ["availability"]


def test_only_what_a_release_has_in_store_for_its_user_may_fail() -> None:
    steady = read("steady")
    erring = next(user for user in map(str, range(1000)) if errs(steady.off, user, steady.seed))
    well = next(user for user in map(str, range(1000)) if not errs(steady.off, user, steady.seed))
    counts = HeldToIt("steady")
    counts.answered(erring, "/search", Answer(500, 0.01, {"x-variant": OFF}))
    counts.answered(well, "/search", Answer(200, 0.01, {"x-variant": OFF}))
    assert (counts.asked, counts.unplanned) == (2, 0)
    counts.answered(well, "/search", Answer(500, 0.01, {"x-variant": OFF}))
    counts.answered(erring, "/search", Answer(500, 0.01, {}))
    counts.answered(erring, "/search", Answer(503, 0.01, {"x-variant": OFF}))
    counts.failed("reset")
    assert (counts.asked, counts.unplanned) == (6, 4)
    assert counts.kinds == {"500": 2, "503": 1, "reset": 1}


_SDKS = "import sys; print('ready', flush=True); print(sys.argv[1], flush=True); sys.stdin.read()"


def _saying(text: str) -> list[tuple[list[str], None]]:
    return [([sys.executable, "-c", _SDKS, text], None)]


def test_toggle_is_timed_when_every_sdk_has_told_of_it() -> None:
    with listening(_saying("python-0 17 1\nnode-0 19 1"), sdks=2) as told:
        assert told.by_all(value=True) == {"python-0": 17, "node-0": 19}


@pytest.mark.parametrize("said", ["python-0 17 0\nnode-0 19 1", "python-0 17 1\nnode-0 19 1\nnode-0 20 0\nx 21 1"])
def test_toggle_that_an_sdk_has_otherwise_is_no_measurement(said: str) -> None:
    sdks = len({line.split()[0] for line in said.splitlines()})
    with listening(_saying(said), sdks) as told, pytest.raises(NotToldOf):
        told.by_all(value=True)
