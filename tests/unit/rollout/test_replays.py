"""Replays decide as the judge does, and as was measured before."""

import numpy as np
import pytest

from steward.rollout.judge import Decision, judge
from steward.rollout.plan import Better, Metric, Plan
from steward.rollout.replays import Played, Rates, Scenario, ends, play, replay
from tests.unit.rollout.looks import BEGUN, ERRORS, ERRORS_ONLY, arm, look


def end_by_the_judge(played: Played, row: int, scenario: Scenario, plan: Plan):
    """Look by look, with everything that a judge is given."""
    found = None
    for column, seconds in enumerate(played.at):
        now = BEGUN + float(seconds)

        def hits(counts, column=column):
            return {name: int(of[row, column]) for name, of in counts.items()}

        reading = look(exposure=scenario.exposure, at=now).model_copy(
            update={
                "on": arm(int(played.on[row, column]), at=now, **{"error": 0, "slow": 0} | hits(played.on_hits)),
                "off": arm(int(played.off[row, column]), at=now, **{"error": 0, "slow": 0} | hits(played.off_hits)),
            }
        )
        found = judge(reading, plan, now, found)
        if found.decision in (Decision.GO, Decision.ROLL_BACK):
            # The deadline is no evidence; the replay calls it undecided.
            return None if found.reasons[0].startswith("the deadline") else (found.decision, float(seconds))
    return None


BOTH = Plan(deadline_seconds=900, minimum_seconds=30)
MORE = Plan(metrics=(Metric(name="error", slo=0.1, better=Better.HIGHER, bad_ratio=1.5),), deadline_seconds=600)
RARE = Plan(metrics=(ERRORS.model_copy(update={"slo_when_rare": True}),), deadline_seconds=600)


@pytest.mark.parametrize(
    ("scenario", "plan"),
    [
        (Scenario(5, 100, {"error": Rates(0.01), "slow": Rates(0.05)}), BOTH),
        (Scenario(5, 100, {"error": Rates(0.01, 3), "slow": Rates(0.05, 1.5)}), BOTH),
        (Scenario(50, 5, {"error": Rates(0.0), "slow": Rates(0.05)}), BOTH),
        (Scenario(25, 50, {"error": Rates(0.2, 0.7)}), MORE),
        (Scenario(5, 100, {"error": Rates(0.001, 2)}), RARE),
    ],
    ids=["alike", "worse", "flawless", "more is better", "rare"],
)
def test_a_replay_ends_where_the_judge_ends(scenario, plan):
    played = play(scenario, plan, 6, seed=3)
    back, go = ends(played, scenario, plan)
    for row in range(6):
        if not np.isfinite(min(back[row], go[row])):
            expected = None
        elif back[row] <= go[row]:
            expected = (Decision.ROLL_BACK, back[row])
        else:
            expected = (Decision.GO, go[row])
        assert end_by_the_judge(played, row, scenario, plan) == expected


def test_good_releases_go_on_and_at_most_one_in_a_hundred_is_rolled_back():
    found = replay(Scenario(), ERRORS_ONLY, 300, seed=7)
    assert found.rolled_back_percent <= 1
    assert found.went_on_percent >= 99
    assert 150 <= found.seconds_to_go.p50 <= 300


@pytest.mark.parametrize(("ratio", "p50"), [(3, 130), (5, 45), (20, 10)])
def test_bad_releases_are_rolled_back_as_soon_as_was_measured(ratio, p50):
    found = replay(Scenario(rates={"error": Rates(0.01, ratio)}), ERRORS_ONLY, 200, seed=7)
    assert found.rolled_back_percent >= 99
    assert found.seconds_to_roll_back.p50 == pytest.approx(p50, rel=0.3)


def test_releases_at_the_bad_ratio_hardly_ever_go_on():
    found = replay(Scenario(rates={"error": Rates(0.01, 2)}), ERRORS_ONLY, 300, seed=7)
    assert found.went_on_percent <= 5


def test_the_same_seed_plays_the_same():
    assert replay(Scenario(), ERRORS_ONLY, 20, seed=1) == replay(Scenario(), ERRORS_ONLY, 20, seed=1)
