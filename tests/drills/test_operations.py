"""An order with every kind of effect, whatever is killed around it: nothing lost, doubled, overlapping or stuck.

`STEWARD_DRILL_CASES` says how many: a few by default, more by `make drill-operations`. What happened is judged by the
effect log, a process of its own, and not by the ledger.
"""

import os
import random
from datetime import UTC, datetime, timedelta

import pytest
import tomli_w
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId

from tests.drills.operations.cases import Case, waves
from tests.drills.operations.conducting import ENDED_WITHIN_SECONDS, conduct, effects_of
from tests.drills.operations.judgement import FULFILLED, Tally, judge
from tests.drills.operations.order import drill_order
from tests.drills.operations.stage import staged, until

pytestmark = pytest.mark.without_search

CASES = int(os.environ.get("STEWARD_DRILL_CASES", "3"))
SEED = int(os.environ.get("STEWARD_DRILL_SEED", "20250731"))
#: What is left due and what is skipped of two missed days, oldest first.
POLICIES = {
    "skip": ["skipped", "skipped"],
    "latest": ["skipped", "done"],
    "all": ["done", "done"],
}
GRACE_MINUTES = 1
EXPECTED = """
INSERT INTO steward.operation_expectations (name, subject, cron, period, since)
VALUES (%(name)s, %(subject)s, %(cron)s, %(period)s, %(since)s)
"""
#: A run that the worker orphaned is told its end by the watch, which first gives it a minute to tell it itself.
SHOWN_WITHIN_SECONDS = 120


@pytest.fixture(scope="module")
def stage(replica, worker, tmp_path_factory):
    with staged(replica, tmp_path_factory.mktemp("operations")) as stage:
        yield stage


def settle(record_property, tallies, story):
    """Tell the figures to whoever counts them, and fail for any that must be zero."""
    for fault, tally in tallies.items():
        record_property(fault, tally.figures)
    assert not any(tally.faults for tally in tallies.values()), "\n".join([str(tallies), *story])


@pytest.mark.parametrize("wave", waves(SEED, CASES), ids=lambda wave: "; ".join(map(str, wave)))
def test_every_effect_happens_once_whatever_is_killed(stage, wave, record_property):
    settle(record_property, *conduct(stage, wave, random.Random(f"{SEED} {wave[0].name}")))


def test_a_schedule_missed_for_two_days_is_caught_up_as_its_policy_says(stage, record_property):
    began = datetime.now(UTC)
    tick = began - timedelta(minutes=GRACE_MINUTES + 1)
    expected = [expectation(stage, policy, tick) for policy in POLICIES]
    for each in expected:
        stage.book.query(EXPECTED, since=began - timedelta(days=2), **each)
    stage.watch.kill()
    stage.watch.expectations.write_text(tomli_w.dumps({"operation": expected}))
    stage.watch.start()

    def states():
        rows = stage.book.query("SELECT subject, period, state FROM steward.operations ORDER BY period")
        return {policy: [row["state"] for row in rows if row["subject"] == f"missed-{policy}"] for policy in POLICIES}

    until(lambda: states() == POLICIES, ENDED_WITHIN_SECONDS, lambda: f"{POLICIES}, only {states()}")
    tally = Tally()
    for policy, wanted in POLICIES.items():
        for days, state in zip((1, 0), wanted, strict=True):
            case = Case(f"missed-{policy}", "missed", "", out_of_stock=False)
            effects = effects_of(stage, case, f"{tick - timedelta(days=days):%Y-%m-%d}")
            tally += judge(effects, FULFILLED if state == "done" else set())
    settle(record_property, {"missed": tally}, [])


def expectation(stage, policy, tick):
    name = f"missed-{policy}"
    return {
        "name": drill_order.name,
        "subject": name,
        "resource": f"{drill_order.name}/{name}",
        "deployment": stage.deployment_name,
        "cron": f"{tick:%M %H} * * *",
        "period": "%Y-%m-%d",
        "parameters": stage.parameters(name),
        "grace_minutes": GRACE_MINUTES,
        "catch_up": policy,
    }


def test_prefect_shows_no_run_as_running_that_has_no_process(stage):
    """Last, for it looks at the runs of all the others."""

    def unended():
        with get_client(sync_client=True) as client:
            mine = DeploymentFilter(id=DeploymentFilterId(any_=[stage.deployment_id]))
            runs = client.read_flow_runs(deployment_filter=mine)
        return [f"{run.name} {run.state.name}" for run in runs if not run.state.is_final()]

    until(lambda: not unended(), SHOWN_WITHIN_SECONDS, lambda: f"end of {unended()}")
