"""The acts of a night: each may run twice with the effect of once. Servers are reached by name, inside the step."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import partial

from steward.clients.elasticsearch import open_search
from steward.clients.postgres import Connection, connect
from steward.clients.s3 import open_evidence_bucket
from steward.evidence.provenance import code_version, host_class
from steward.operations import nights
from steward.operations.nights import Leftovers, Night
from steward.settings import load
from steward.snapshots import capture
from steward.snapshots.checked import Checked, Plan
from steward.snapshots.definitions import compare_index_set, find_closed
from steward.snapshots.expiry import plan_expiry
from steward.snapshots.global_state import Additions, take_away
from steward.snapshots.moments import Moments, close_points_in_time, keep_open, open_moment
from steward.snapshots.planning import TenantSize, plan_batches, plan_tenants
from steward.snapshots.policy import SnapshotPolicy, restore_prefix, snapshot_name
from steward.snapshots.preconditions import check_clocks, check_disk, check_not_full, check_repository
from steward.snapshots.report import SnapshotReport, Stage
from steward.snapshots.restoring import Restored, drop_restored, restore
from steward.snapshots.taking import KEEP_OPEN_SECONDS, SnapshotTaken, every, take_snapshot
from steward.verdicts import Verdict
from tasks.steps import step

#: Purposes of users in the settings. The first cannot write a document; the second can do nothing in production.
SNAPSHOT, RESTORE = "snapshot", "restore"


@contextmanager
def one_night_at_a_time(cluster: str) -> Generator[None]:
    """Hold the cluster's nights while the block runs; AlreadyRunning where another run holds them."""
    with connect(load()) as db, nights.exclusive(db, f"nightly-snapshot/{cluster}"):
        yield


@step("begin attempt", run_name="begin {night}")
def begin_attempt(policy: SnapshotPolicy, night: date) -> Night:
    """A new attempt at *night*, recorded before it makes anything."""
    with connect(load()) as db:
        number = max((earlier.attempt for earlier in nights.attempts(db, policy.cluster, night)), default=0) + 1
        attempt = Night(
            cluster=policy.cluster,
            night=night,
            attempt=number,
            snapshot=snapshot_name(night, number),
            started_at=datetime.now(UTC),
            state="running",
        )
        nights.begin(db, attempt)
    return attempt


@step("check preconditions")
def check_preconditions(policy: SnapshotPolicy, night: date) -> Plan:
    """Whatever could stop the night halfway, found before anything is touched; then tonight's tenants and batches."""
    settings = load()
    with connect(settings) as db:
        proved = nights.proof_nights(db, policy.cluster)
        check_clocks({"postgres": _database_offset(db)}, policy.clock_skew_seconds)
    with open_evidence_bucket(settings):
        pass
    with open_search(settings, policy.cluster, SNAPSHOT) as source:
        check_repository(policy.repository, capture.repositories(source), policy.cluster, readonly=False)
        check_clocks(capture.clock_offsets(source, time.time), policy.clock_skew_seconds)
        check_not_full(capture.blocked_indices(source, policy.indices))
        tenants = capture.tenant_sizes(source, policy.indices, proved)
    batches = plan_batches(plan_tenants(policy, tenants, night), policy.restore_bytes)
    with open_search(settings, policy.scratch_cluster, RESTORE) as scratch:
        check_repository(policy.repository, capture.repositories(scratch), policy.scratch_cluster, readonly=True)
        check_clocks(capture.clock_offsets(scratch, time.time), policy.clock_skew_seconds)
        largest = max((sum(tenant.bytes for tenant in batch) for batch in batches), default=0)
        for node, (total, available) in capture.disks(scratch).items():
            check_disk(node, total, available, largest)
    return Plan(tenants=tenants, batches=batches)


def _database_offset(db: Connection) -> float:
    asked = time.time()
    row = db.execute("select extract(epoch from clock_timestamp())::float8").fetchone()
    return capture.offset(row[0] if row else asked, asked, time.time())


@step("clear what dead attempts left")
def clear_dead_attempts(policy: SnapshotPolicy, attempt: Night) -> None:
    """Remove what earlier attempts had recorded as made and did not live to remove; complete snapshots stay."""
    with connect(load()) as db:
        dead = [each for each in nights.with_leftovers(db, policy.cluster) if each.snapshot != attempt.snapshot]
        for each in dead:
            _remove_leftovers(policy, each.leftovers)
            _abort_half_snapshot(policy, each.snapshot)
            nights.abandon(db, each)


@step("clear up", run_name="clear up {attempt.snapshot}")
def clear_attempt(policy: SnapshotPolicy, attempt: Night) -> None:
    """Remove all that the attempt made on its way: points in time, copies, the restored global state."""
    with connect(load()) as db:
        current = nights.attempts(db, policy.cluster, attempt.night)[attempt.attempt - 1]
        _remove_leftovers(policy, current.leftovers)
        nights.forget_leftovers(db, attempt)


def _remove_leftovers(policy: SnapshotPolicy, leftovers: Leftovers) -> None:
    if leftovers.points_in_time:
        with open_search(load(), policy.cluster, SNAPSHOT) as source:
            close_points_in_time(source, leftovers.points_in_time)
    if leftovers.prefix or leftovers.additions != Additions():
        with open_search(load(), policy.scratch_cluster, RESTORE) as scratch:
            if leftovers.prefix:
                # The prefix is this attempt's alone, and the scratch cluster holds nothing but copies.
                drop_restored(scratch, capture.restored_indices(scratch, leftovers.prefix))
            take_away(scratch, leftovers.additions)


def _abort_half_snapshot(policy: SnapshotPolicy, name: str) -> None:
    with open_search(load(), policy.cluster, SNAPSHOT) as source:
        info = capture.snapshot_info(source, policy.repository, name)
        if info and info["state"] == "IN_PROGRESS":
            capture.delete_snapshots(source, policy.repository, [name])


@step("capture expectations")
def capture_expectations(policy: SnapshotPolicy, attempt: Night) -> list[str]:
    """Keep the definitions as they are before the snapshot; the names of the indices that it must hold."""
    with open_search(load(), policy.cluster, SNAPSHOT) as source, connect(load()) as db:
        held = capture.capture_definitions(source, policy.indices)
        nights.keep_expectations(db, attempt, "before", held)
    return sorted(held.indices)


@step("open points in time")
def open_points_in_time(policy: SnapshotPolicy, attempt: Night, plan: Plan) -> Moments:
    """The first moment: every shard of tonight's tenants, held durable before the snapshot may begin."""
    indices = [index for batch in plan.batches for tenant in batch for index in tenant.indices]
    with open_search(load(), policy.cluster, SNAPSHOT) as source, connect(load()) as db:
        return open_moment(source, indices, on_opened=partial(nights.note_points_in_time, db, attempt))


@step("create snapshot", run_name="create {attempt.snapshot}")
def create_snapshot(policy: SnapshotPolicy, attempt: Night, before: Moments) -> SnapshotTaken:
    """Take the snapshot, or find it taken; each shard's second point in time is opened once it has its commit."""
    with open_search(load(), policy.cluster, SNAPSHOT) as source, connect(load()) as db:
        return take_snapshot(
            source,
            policy.repository,
            attempt.snapshot,
            [policy.indices],
            before,
            metadata={"steward": {"night": str(attempt.night), "attempt": attempt.attempt}},
            on_opened=partial(nights.note_points_in_time, db, attempt),
        )


@step("capture what the snapshot holds")
def check_index_set(policy: SnapshotPolicy, attempt: Night, taken: SnapshotTaken) -> Checked:
    """Keep the definitions as they are after the snapshot; findings on what it lacks or cannot show."""
    with open_search(load(), policy.cluster, SNAPSHOT) as source, connect(load()) as db:
        nights.keep_expectations(db, attempt, "after", capture.capture_definitions(source, policy.indices))
        before, _ = nights.expectations(db, attempt)
    findings = compare_index_set(before, set(taken.indices)) + find_closed(before, policy.tenants)
    seconds = taken.ended_at - taken.started_at
    return Checked(stage=Stage(name="snapshot", seconds=seconds, bytes=taken.incremental_bytes), findings=findings)


@step("restore", run_name="restore {attempt.snapshot}")
def restore_batch(policy: SnapshotPolicy, attempt: Night, held: Moments, batch: Sequence[TenantSize]) -> Restored:
    """Restore one batch on the scratch cluster, under names of this attempt; *held* stays open however long it takes."""
    indices = [index for tenant in batch for index in tenant.indices]
    prefix = restore_prefix(attempt.night, attempt.attempt)
    settings = load()
    with connect(settings) as db:
        nights.note_prefix(db, attempt, prefix)
    with (
        open_search(settings, policy.cluster, SNAPSHOT) as source,
        open_search(settings, policy.scratch_cluster, RESTORE) as scratch,
    ):
        touch = every(KEEP_OPEN_SECONDS, lambda: keep_open(source, held))
        return restore(scratch, policy.repository, attempt.snapshot, indices, prefix, on_poll=touch)


@step("drop restored", run_name="drop copies of {restored.snapshot}")
def drop_batch(policy: SnapshotPolicy, restored: Restored) -> None:
    """Delete this batch's copies by their recorded identity, so that the next batch has the disk."""
    with open_search(load(), policy.scratch_cluster, RESTORE) as scratch:
        drop_restored(scratch, restored.uuids)


@step("find verdict", run_name="find verdict of {night}")
def find_verdict(policy: SnapshotPolicy, night: date) -> SnapshotReport | None:
    """The verdict that this night has come to already: VERIFIED, or any whose run died before it was recorded."""
    with connect(load()) as db:
        latest = next(reversed(nights.attempts(db, policy.cluster, night)), None)
    if latest is None or latest.report is None:
        return None
    return latest.report if latest.state == "proved" or latest.report.verdict is Verdict.VERIFIED else None


@step("find previous snapshot")
def previous_snapshot_at(policy: SnapshotPolicy, night: date) -> datetime | None:
    """When the newest VERIFIED snapshot before *night* was taken; None: there is none."""
    with connect(load()) as db:
        past = nights.history(db, policy.cluster)
    taken = [each.taken_at for each in past if each.verdict is Verdict.VERIFIED and each.night < night]
    return max((at for at in taken if at), default=None)


@step("keep verdict", run_name="keep verdict of {report.snapshot}")
def keep_verdict(policy: SnapshotPolicy, report: SnapshotReport) -> SnapshotReport:
    """Keep the report, with what may expire, before anything is deleted: a rerun then finishes this and no other."""
    report = report.model_copy(update={"code": code_version().model_dump(), "host": host_class()})
    with connect(load()) as db:
        if report.verdict is Verdict.VERIFIED:
            report = report.model_copy(update={"expired": _plan_expiry(policy, report, db)})
        nights.keep_report(db, report)
    return report


def _plan_expiry(policy: SnapshotPolicy, report: SnapshotReport, db: Connection) -> dict[str, str]:
    with open_search(load(), policy.cluster, SNAPSHOT) as source:
        known = capture.known_snapshots(source, policy.repository, nights.verdicts(db, policy.cluster))
    return plan_expiry(known, report.snapshot, report.verdict, datetime.now(UTC), policy.retention_days).delete


@step("expire snapshots")
def expire_snapshots(policy: SnapshotPolicy, report: SnapshotReport) -> None:
    """Delete what the verdict's plan lets go: nothing, unless the night is VERIFIED."""
    if report.expired:
        with open_search(load(), policy.cluster, SNAPSHOT) as source:
            capture.delete_snapshots(source, policy.repository, report.expired)


@step("end night", run_name="end {report.night}")
def end_night(report: SnapshotReport) -> None:
    """The night is done: tenants that are VERIFIED have a new proof age."""
    proved = {t.tenant: (t.digest, t.documents) for t in report.tenants if t.verdict is Verdict.VERIFIED}
    with connect(load()) as db:
        nights.end(db, report, proved)
