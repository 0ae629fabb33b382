"""Workers, database, limiter and providers killed, dark and slow: no limit is passed, no attempt lost, doubled or misstated.

`STEWARD_DRILL_CASES` says how many cases: one by default, with what other tests of the same servers do not feel; more by
`make drill-gateway`; `STEWARD_DRILL_ONLY` names one of them. The judge is the twins' own record.
"""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.drills.__main__ import LAST_LINE
from tests.drills.gateway.cases import GENTLE, draw
from tests.drills.gateway.conducting import conduct
from tests.drills.gateway.figures import LEAST_SUCCESS_PERCENT, MOST_AMPLIFICATION, summed
from tests.drills.gateway.ground import staged
from tests.drills.gateway.judgement import compare
from tests.drills.gateway.scale import Scale
from tests.drills.gateway.users import CONTROL

pytestmark = pytest.mark.without_search

IS_LONG = "STEWARD_DRILL_CASES" in os.environ
CASES = int(os.environ.get("STEWARD_DRILL_CASES", "1"))
SEED = int(os.environ.get("STEWARD_DRILL_SEED", "20250731"))
ONLY = os.environ.get("STEWARD_DRILL_ONLY")
WINDOW = int(os.environ.get("STEWARD_DRILL_WINDOW", "10"))
SCALE = (
    Scale(window_seconds=WINDOW) if IS_LONG else Scale(workers=4, window_seconds=2, users_seconds=5.0, sent_seconds=4.0)
)
BEGAN = time.monotonic()
ALL = draw(SEED, CASES) if IS_LONG else draw(SEED, CASES, GENTLE, workers=SCALE.workers, dark_seconds=(2.0, 3.0))
DRAWN = [case for case in ALL if ONLY is None or case.number == int(ONLY)]


@pytest.fixture(scope="module")
def stage(replica):
    folder = Path(tempfile.mkdtemp(prefix="steward-drill-"))
    try:
        with staged(replica, folder, SCALE, SEED) as up:
            yield up
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def outcomes():
    return []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("case", DRAWN, ids=str)
def test_nothing_is_lost_doubled_misstated_or_above_a_limit_whatever_is_killed(stage, outcomes, case, record_property):
    began = time.monotonic()
    outcome = conduct(stage, case)
    outcomes.append(outcome)
    record_property(LAST_LINE, summed(outcomes, seconds=time.monotonic() - BEGAN, window_seconds=SCALE.window_seconds))
    told = {**outcome.figures, "blackouts": outcome.blackouts, "seconds": round(time.monotonic() - began)}
    again = f"python -m tests.drills gateway --cases {case.number + 1} --seed {SEED} --only {case.number}"
    # Now, and not when the last case has ended.
    print("\n".join([f"\n{case}: {told}", f"again: {again}", *outcome.story]), file=sys.stderr, flush=True)  # noqa: T201
    assert not outcome.faults


def test_people_are_answered_while_one_provider_is_away_and_providers_are_not_asked_much_more_often(outcomes):
    assert outcomes
    told = summed(outcomes, seconds=0, window_seconds=SCALE.window_seconds)
    if IS_LONG:
        # Some seconds beside other tests say nothing of either: a machine may be too busy to send in time.
        success = told["gateway_success_percent_one_dark"]
        assert success is None or success >= LEAST_SUCCESS_PERCENT
        assert told["gateway_amplification"] <= MOST_AMPLIFICATION


def test_limits_above_the_providers_are_seen_by_the_judge(stage):
    before = stage.twins.admin("GET", "/violations")["violations"]
    stage.await_rings()
    users = stage.users({CONTROL: stage.scale.control}, SEED)
    users.start()
    time.sleep(1.2 * stage.scale.window_seconds)
    users.stop()
    assert stage.twins.admin("GET", "/violations")["violations"] > before


TRUTH = {
    "client_request_id": "a",
    "provider": "openai",
    "request_id": "req_1",
    "outcome": "completed",
    "billed": True,
    "model_served": "m",
    "input_uncached": 10,
    "cache_read": 1,
    "cache_write_30m": 2,
    "cache_write_5m": 0,
    "cache_write_1h": 0,
    "output": 7,
    "reasoning": 3,
}
ROW = {
    "id": "a",
    "state": "settled",
    "ending": "completed",
    "is_estimate": False,
    "error_class": None,
    "reserved_at": "then",
    "model_served": "m",
    "input_uncached": 10,
    "input_cached": 1,
    "cache_write": 2,
    "cache_write_5m": 0,
    "cache_write_1h": 0,
    "output": 7,
    "reasoning": 3,
}
BOUNDS = {"is_estimate": True, "input_low": 13, "input_high": 13, "output_low": 1, "output_high": 6}


@pytest.mark.parametrize(
    ("truths", "rows", "kinds"),
    [
        ([TRUTH], [ROW], []),
        ([TRUTH], [], ["lost"]),
        ([TRUTH, TRUTH], [ROW], ["doubled"]),
        ([TRUTH], [{**ROW, "output": 8}], ["misstated"]),
        ([TRUTH], [{**ROW, "cache_write": 0, "input_uncached": 12}], ["misstated"]),
        ([{**TRUTH, "billed": False}], [ROW], ["misstated"]),
        ([TRUTH], [{**ROW, "state": "aborted", "ending": "not_sent"}], ["misstated"]),
        ([TRUTH], [{**ROW, **BOUNDS}], ["misstated"]),
        ([TRUTH], [{**ROW, **BOUNDS, "output_high": 7}], []),
        ([TRUTH], [{**ROW, "state": "unknown", "ending": "lost"}], []),
        ([TRUTH], [{**ROW, "state": "sent", "ending": None}], ["unended"]),
        ([], [ROW], ["misstated"]),
        ([], [{**ROW, "state": "unknown", "ending": "lost"}], []),
    ],
)
def test_the_judge_sees_each_kind_of_fault_where_it_was_planted(truths, rows, kinds):
    assert [fault.kind for fault in compare(truths, rows)] == kinds
