"""What the reaper decides: never a third attempt by accident, never beside Prefect's own retry, never against a person."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.watch import tidying
from steward.operations.reaping import Abandoned, Act, RunSeen, is_orphan, is_unclaimed, plan_takeover
from tasks import children

NOW = datetime(2025, 7, 31, 1, 45, tzinfo=UTC)
PATIENCE = 30.0
LOST = Abandoned(
    id=7,
    name="night",
    subject="production",
    period="2025-07-31",
    state="running",
    token=1001,
    round=1,
    attempt=1,
    lost=1,
    max_attempts=5,
    dispatches=0,
    created_at=NOW,
    lease_seconds=15.0,
    lease_until=NOW - timedelta(seconds=1),
    due_at=None,
    deadline=NOW + timedelta(hours=3),
    resume_after=None,
    flow_run_id="old",
    next_run_id=None,
    deployment_id="deployment",
    parameters={},
)


def run(kind, name="", seconds_ago=60.0, **options):
    since = NOW - timedelta(seconds=seconds_ago)
    return RunSeen("run", "quiet-heron", kind, name or kind.title(), since, **options)


def decide(operation=LOST, old=None, replacement=None):
    return plan_takeover(operation, old or run("RUNNING"), replacement, NOW, PATIENCE)


def test_a_lost_lease_is_taken_up_by_a_new_run():
    assert decide().act is Act.RESUME
    assert "attempt 1 lost its lease at 01:44:59" in decide().reason


@pytest.mark.parametrize("kind", ["COMPLETED", "FAILED", "CRASHED"])
def test_the_ledger_decides_whatever_prefect_made_of_the_old_run(kind):
    assert decide(old=run(kind)).act is Act.RESUME


def test_a_run_that_prefect_has_lost_is_taken_up_too():
    assert plan_takeover(LOST, None, None, NOW, PATIENCE).act is Act.RESUME


@pytest.mark.parametrize("kind", ["CANCELLED", "CANCELLING"])
def test_a_persons_cancellation_ends_it(kind):
    assert decide(old=run(kind)).act is Act.CANCEL
    assert decide(replacement=run(kind)).act is Act.CANCEL


@pytest.mark.parametrize("name", ["Skipped", "Superseded"])
def test_what_our_own_flows_call_cancelled_ends_nothing(name):
    assert decide(old=run("CANCELLED", name)).act is Act.RESUME


def test_a_reopened_operation_is_not_ended_by_its_cancelled_run_of_before():
    due = replace(LOST, state="due", due_at=NOW)
    assert decide(due, old=run("CANCELLED")).act is Act.RESUME
    assert decide(replace(due, deadline=NOW - timedelta(hours=1))).act is Act.RESUME


def test_prefects_own_retry_is_left_to_come():
    coming = run("SCHEDULED", "AwaitingRetry", expected_at=NOW + timedelta(seconds=10))
    assert decide(old=coming).act is Act.WAIT
    overdue = run("SCHEDULED", "AwaitingRetry", expected_at=NOW - timedelta(seconds=31))
    assert decide(old=overdue).act is Act.RESUME


@pytest.mark.parametrize("kind", ["SCHEDULED", "PENDING", "RUNNING"])
def test_a_replacement_on_its_way_is_not_doubled(kind):
    assert decide(replacement=run(kind, seconds_ago=5)).act is Act.WAIT


def test_a_replacement_that_no_worker_has_fetched_waits_for_one():
    assert decide(replacement=run("SCHEDULED", "Late", seconds_ago=3600)).act is Act.WAIT


@pytest.mark.parametrize("kind", ["PENDING", "RUNNING", "CRASHED", "FAILED"])
def test_a_replacement_that_died_before_it_claimed_is_replaced(kind):
    assert decide(replacement=run(kind, seconds_ago=200)).act is Act.RESUME


def test_a_replacement_that_ended_is_replaced_after_a_pause_only():
    paused = replace(LOST, dispatches=1, resume_after=NOW + timedelta(seconds=1))
    assert decide(paused, replacement=run("CRASHED")).act is Act.WAIT


def test_attempts_that_died_too_often_are_for_a_person():
    given_up = decide(replace(LOST, lost=5, attempt=9))
    assert (given_up.act, "5 attempts died; HINT:" in given_up.reason) == (Act.FAIL, True)


def test_runs_that_never_claim_are_for_a_person():
    given_up = decide(replace(LOST, dispatches=10), replacement=run("CRASHED"))
    assert (given_up.act, "10 runs ended before they claimed it" in given_up.reason) == (Act.FAIL, True)


@pytest.mark.parametrize("state", ["running", "waiting"])
def test_past_its_deadline_it_is_failed(state):
    assert decide(replace(LOST, state=state, deadline=NOW - timedelta(seconds=1))).act is Act.FAIL


def test_without_a_deployment_it_is_failed_and_says_why():
    assert "no deployment" in decide(replace(LOST, deployment_id=None)).reason


@pytest.mark.parametrize(
    ("kind", "act"),
    [
        ("PAUSED", Act.WAIT),
        ("SCHEDULED", Act.WAIT),
        ("FAILED", Act.FAIL),
        ("CRASHED", Act.RESUME),
        ("CANCELLED", Act.CANCEL),
    ],
)
def test_what_waits_for_a_person_goes_by_its_run(kind, act):
    assert decide(replace(LOST, state="waiting"), old=run(kind)).act is act


def test_a_run_that_died_when_it_was_answered_is_replaced():
    assert decide(replace(LOST, state="waiting"), old=run("RUNNING", seconds_ago=20)).act is Act.WAIT
    assert decide(replace(LOST, state="waiting"), old=run("RUNNING", seconds_ago=200)).act is Act.RESUME
    assert decide(replace(LOST, state="waiting"), old=run("PENDING", seconds_ago=200)).act is Act.RESUME


def test_a_pending_run_is_an_orphan_after_the_patience_unless_it_ever_began():
    assert not is_orphan(run("PENDING", seconds_ago=29), NOW, PATIENCE, is_ledgered=True)
    assert is_orphan(run("PENDING", seconds_ago=31), NOW, PATIENCE, is_ledgered=True)
    assert not is_orphan(run("PENDING", seconds_ago=31, began=True), NOW, PATIENCE, is_ledgered=True)


def test_a_process_that_may_still_begin_is_given_longer_where_the_ledger_would_not_stop_it():
    starting = run("PENDING", seconds_ago=31, has_process=True)
    assert is_orphan(starting, NOW, PATIENCE, is_ledgered=True)
    assert not is_orphan(starting, NOW, PATIENCE, is_ledgered=False)
    assert is_orphan(replace(starting, since=NOW - timedelta(seconds=301)), NOW, PATIENCE, is_ledgered=False)
    assert is_orphan(replace(starting, has_process=False), NOW, PATIENCE, is_ledgered=False)


def test_a_running_run_has_a_lease_and_twice_the_patience_to_claim_its_operation():
    assert not is_unclaimed(run("RUNNING", seconds_ago=74), NOW, PATIENCE, 15.0)
    assert is_unclaimed(run("RUNNING", seconds_ago=76), NOW, PATIENCE, 15.0)
    assert not is_unclaimed(run("PENDING", seconds_ago=76), NOW, PATIENCE, 15.0)


def test_the_watch_and_the_parent_call_a_run_that_was_replaced_the_same():
    assert tidying.UNCLAIMED == children.UNCLAIMED
