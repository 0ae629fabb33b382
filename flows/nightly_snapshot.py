"""Nightly snapshot, counted only once it has been restored and found equal to its source.

Failure semantics: a difference is a finding and ends the run Failed with verdict REFUTED; a step that could not run
after its retries, or a point in time lost twice, ends it Failed with verdict UNKNOWN. Either way the evidence says so,
and no older snapshot expires. Killed before its verdict, the next run of the same night clears what was left and takes
a new snapshot; killed after it, the next run finishes what remains and comes to no second verdict.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

from prefect import flow
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from steward.errors import StewardError
from steward.operations.nights import Night
from steward.snapshots.checked import Checked, Plan, assemble_report, unproved_report
from steward.snapshots.policy import SnapshotPolicy, check_night
from steward.snapshots.report import SnapshotNotVerified, SnapshotReport, Stage
from steward.verdicts import Verdict
from tasks.evidence import record_evidence
from tasks.proofs import compare_contents, compare_definitions, compare_templates, run_golden_queries
from tasks.publishing import publish
from tasks.snapshots import (
    begin_attempt,
    capture_expectations,
    check_index_set,
    check_preconditions,
    clear_attempt,
    clear_dead_attempts,
    create_snapshot,
    drop_batch,
    end_night,
    expire_snapshots,
    find_verdict,
    keep_verdict,
    one_night_at_a_time,
    open_points_in_time,
    previous_snapshot_at,
    restore_batch,
)

# One frozen policy: the form's defaults.
TONIGHT = SnapshotPolicy()


@flow(name="nightly-snapshot", flow_run_name="{policy.cluster}", timeout_seconds=4 * 3600, persist_result=False)
def nightly_snapshot(policy: SnapshotPolicy = TONIGHT, night: date | None = None) -> SnapshotReport:
    """Snapshot the cluster's tenants, restore them elsewhere, and prove that nothing is lost.

    Args:
        policy: What is proved, how, and how long it is kept.
        night: The UTC date of the night; empty: the one that this run was scheduled for.
    """
    night = check_night(night or _scheduled_night(), datetime.now(UTC).date())
    with one_night_at_a_time(policy.cluster):
        report = find_verdict(policy, night) or prove_night(policy, night)
        # Only now, so the newest good snapshot always outlives a bad one.
        expire_snapshots(policy, report)
        record_evidence(policy, report)
        end_night(report)
    publish(report)
    if report.verdict is not Verdict.VERIFIED:
        raise SnapshotNotVerified(report)
    return report


def prove_night(policy: SnapshotPolicy, night: date) -> SnapshotReport:
    """The verdict on *night*. A lost point in time says nothing of the snapshot, so a second one is then taken."""
    report = keep_verdict(policy, _attempt(policy, night))
    return keep_verdict(policy, _attempt(policy, night)) if report.moment_lost else report


def _attempt(policy: SnapshotPolicy, night: date) -> SnapshotReport:
    attempt = begin_attempt(policy, night)
    checks: list[Checked] = []
    try:
        plan = check_preconditions(policy, night)
        clear_dead_attempts(policy, attempt)
        report = _prove(policy, attempt, plan, checks)
    except Exception as error:  # noqa: BLE001  whatever stopped it, the night has a verdict, and the evidence says why
        get_run_logger().exception("attempt %s failed", attempt.attempt)
        report = unproved_report(policy, attempt, error, checks, datetime.now(UTC))
    try:
        clear_attempt(policy, attempt)
    except StewardError as error:
        report = report.not_cleared(error)
    return report


def _prove(policy: SnapshotPolicy, attempt: Night, plan: Plan, checks: list[Checked]) -> SnapshotReport:
    # Each check is added as it ends: what it found stands, whatever becomes of the next.
    capture_expectations(policy, attempt)
    before = open_points_in_time(policy, attempt, plan)
    taken = create_snapshot(policy, attempt, before)
    checks.append(check_index_set(policy, attempt, taken))
    for batch in plan.batches:
        restored = restore_batch(policy, attempt, before.joined(taken.moments), batch)
        checks.append(Checked(stage=Stage(name="restore", seconds=restored.seconds, bytes=restored.bytes)))
        checks.append(compare_contents(policy, before, taken, restored))
        checks.append(compare_definitions(policy, attempt, restored))
        checks.append(run_golden_queries(policy, before, restored))
        drop_batch(policy, restored)
    checks.append(compare_templates(policy, attempt))
    return assemble_report(
        policy,
        attempt,
        plan,
        checks,
        taken_at=datetime.fromtimestamp(taken.started_at, UTC),
        previous_at=previous_snapshot_at(policy, attempt.night),
        ended_at=datetime.now(UTC),
    )


def _scheduled_night() -> date:
    """The UTC date for which this run was scheduled: a run that starts late keeps its night."""
    return flow_run.get_scheduled_start_time().astimezone(UTC).date()
