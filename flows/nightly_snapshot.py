"""Nightly snapshot, counted only once it has been restored and found equal to its source.

Failure semantics: a difference is a finding and ends the run Failed with verdict REFUTED; a step that could not run
after its retries, a deadline that passed, or a point in time lost twice, ends it Failed with verdict UNKNOWN. Either
way the evidence says so, and no older snapshot expires. Killed anywhere, a new run takes it up at the step in flight;
a verdict that was kept stands. Only the snapshot itself is taken anew, since points in time opened late prove nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

from prefect import flow, unmapped
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from steward.errors import StewardError
from steward.operations.claims import Terms
from steward.snapshots.checked import (
    Attempt,
    Checked,
    Plan,
    assemble_report,
    content_digests,
    is_worth_copying,
    unproved_report,
)
from steward.snapshots.planning import TenantSize
from steward.snapshots.policy import NIGHT_SECONDS, SnapshotPolicy, check_night
from steward.snapshots.report import SnapshotNotVerified, SnapshotReport
from steward.snapshots.stages import Stage
from steward.snapshots.taking import SnapshotTaken
from steward.verdicts import Verdict
from tasks.blobs import check_blobs
from tasks.children import run_child
from tasks.durable import durable, operation, recorded
from tasks.evidence import record_evidence
from tasks.night_plan import check_preconditions, show_plan
from tasks.offsite import copy_offsite, prove_copy
from tasks.proofs import compare_contents, compare_definitions, compare_templates, run_golden_queries
from tasks.publishing import publish
from tasks.snapshots import (
    PROVE,
    begin_attempt,
    check_index_set,
    clear_attempt,
    clear_dead_nights,
    clear_runs,
    create_snapshot,
    drop_batch,
    expire_snapshots,
    keep_proofs,
    keep_verdict,
    previous_snapshot_at,
    restore_batch,
)
from tasks.tenant_runs import kept_open, outcome, part_key, part_period, part_requests

# One frozen policy: the form's defaults.
TONIGHT = SnapshotPolicy()


def _night(policy: SnapshotPolicy, night: date | None) -> str:
    """The UTC date asked for, or for which this run was scheduled: a run that starts late keeps its night."""
    return str(night or flow_run.get_scheduled_start_time().astimezone(UTC).date())


@flow(name="nightly-snapshot", flow_run_name="{policy.cluster}", persist_result=False)
@durable(
    subject="{policy.cluster}",
    period=_night,
    resource="elasticsearch/{policy.cluster}/snapshots",
    terms=Terms(deadline_seconds=NIGHT_SECONDS),
)
def nightly_snapshot(policy: SnapshotPolicy = TONIGHT, night: date | None = None) -> SnapshotReport:
    """Snapshot the cluster's tenants, restore them elsewhere, and prove that nothing is lost.

    Args:
        policy: What is proved, how, and how long it is kept.
        night: The UTC date of the night; empty: the one that this run was scheduled for.
    """
    tonight = check_night(date.fromisoformat(operation().period), datetime.now(UTC).date())
    report = prove_night(policy, tonight)
    # Only now, so the newest good snapshot always outlives a bad one.
    expire_snapshots(policy, report)
    record_evidence(policy, report)
    keep_proofs(report)
    publish(report)
    if report.verdict is not Verdict.VERIFIED:
        raise SnapshotNotVerified(report)
    return report


def prove_night(policy: SnapshotPolicy, night: date) -> SnapshotReport:
    """The verdict on *night*. A lost point in time says nothing of the snapshot, so a second one is then taken."""
    report = _verdict(policy, night, 1)
    return _verdict(policy, night, 2) if report.moment_lost else report


def _verdict(policy: SnapshotPolicy, night: date, moment: int) -> SnapshotReport:
    # What was kept stands, whatever the steps that failed before it would come to now.
    return recorded(keep_verdict, str(moment)) or keep_verdict(policy, moment, _attempt(policy, night, moment))


def _attempt(policy: SnapshotPolicy, night: date, moment: int) -> SnapshotReport:
    attempt = begin_attempt(policy, night, moment)
    checks: list[Checked] = []
    try:
        plan = check_preconditions(policy, attempt)
        show_plan(policy, attempt, plan)
        clear_dead_nights(policy, attempt)
        taken = create_snapshot(policy, attempt, plan)
        # A snapshot that was taken anew has another name, and whatever follows speaks of that one.
        attempt = attempt.model_copy(update={"snapshot": taken.name})
        report = _prove(policy, attempt, plan, taken, checks)
    except Exception as error:  # noqa: BLE001  whatever stopped it, the night has a verdict, and the evidence says why
        get_run_logger().exception("attempt %s failed", attempt.attempt)
        report = unproved_report(policy, attempt, error, checks)
    try:
        clear_attempt(policy, attempt)
    except StewardError as error:
        report = report.not_cleared(error)
    return report


def _prove(
    policy: SnapshotPolicy, attempt: Attempt, plan: Plan, taken: SnapshotTaken, checks: list[Checked]
) -> SnapshotReport:
    # Each check is added as it ends: what it found stands, whatever becomes of the next.
    checks.append(check_index_set(policy, taken))
    if policy.blobs:
        checks.append(Checked.of(check_blobs(policy, attempt, taken)))
    for number, batch in enumerate(plan.batches):
        wave = prove_wave(policy, attempt, plan, taken, number) if plan.parts else None
        for checked in wave or prove_batch(policy, attempt, taken, number, batch):
            checks.append(checked)  # noqa: PERF402  as above
    checks.append(compare_templates(policy, attempt, taken))
    if policy.offsite and is_worth_copying(checks):
        for checked in copy_and_prove(policy, attempt, plan, taken, content_digests(checks)):
            checks.append(checked)  # noqa: PERF402  as above
    return assemble_report(
        policy,
        attempt,
        plan,
        checks,
        taken_at=datetime.fromtimestamp(taken.started_at, UTC),
        previous_at=previous_snapshot_at(policy, attempt),
    )


def prove_batch(
    policy: SnapshotPolicy, attempt: Attempt, taken: SnapshotTaken, number: int, batch: list[TenantSize]
) -> Iterator[Checked]:
    """Restore some tenants, compare them with their source, and drop them; each check as it ends."""
    restored = restore_batch(policy, attempt, taken, number, batch)
    yield Checked(stage=Stage(name="restore", seconds=restored.seconds, bytes=restored.bytes), span=restored.span)
    yield compare_contents(policy, taken, restored)
    yield compare_definitions(policy, restored)
    yield run_golden_queries(policy, taken, restored)
    drop_batch(policy, restored)


def prove_wave(
    policy: SnapshotPolicy, attempt: Attempt, plan: Plan, taken: SnapshotTaken, number: int
) -> Iterator[Checked]:
    """The same by runs that any worker takes, side by side: a batch is what may be restored at one time."""
    parts = part_requests(policy, attempt, plan, number)
    with kept_open(policy, taken):
        runs = run_child.map(  # pyright: ignore[reportFunctionMemberAccess]  a step is a Task
            deployment=unmapped(PROVE),
            parameters=[{"request": each.model_dump(mode="json")} for each in parts],
            key=[part_key(each) for each in parts],
            period=unmapped(part_period(attempt)),
        )
        for part, run in zip(parts, runs, strict=True):
            yield from outcome(part, run)
    clear_runs(policy, attempt, number)


def copy_and_prove(
    policy: SnapshotPolicy, attempt: Attempt, plan: Plan, taken: SnapshotTaken, digests: dict[str, str]
) -> Iterator[Checked]:
    """Copy the snapshot off site, and restore from the copy alone what was compared with its source tonight."""
    copied = copy_offsite(policy, attempt, taken, digests)
    yield Checked.of(copied)
    if copied.manifest_key:
        yield Checked.of(prove_copy(policy, attempt, plan, taken, copied, digests))
