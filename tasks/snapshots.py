"""The acts of a night: each may run twice with the effect of once. Servers are reached by name, inside the step."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime

from steward.clients.elasticsearch import SearchClient, open_search
from steward.clients.elasticsearch_errors import SearchRefused
from steward.clients.postgres import connect
from steward.evidence.provenance import code_version, host_class
from steward.operations.effects import (
    Effect,
    abandoned_effects,
    dead_effects,
    forget_effects,
    note_effects,
    noting,
    own_effects,
    removed_effects,
)
from steward.operations.fencing import fence
from steward.operations.holding import guard
from steward.operations.steps import Kind, current_step
from steward.settings import load
from steward.snapshots import capture, catalogue
from steward.snapshots.checked import Attempt, Checked, Plan
from steward.snapshots.definitions import compare_index_set, find_closed
from steward.snapshots.expiry import plan_expiry
from steward.snapshots.global_state import Additions, take_away
from steward.snapshots.moments import close_points_in_time, keep_open, open_moment
from steward.snapshots.planning import TenantSize
from steward.snapshots.policy import SnapshotPolicy, restore_prefix, snapshot_name
from steward.snapshots.report import SnapshotReport
from steward.snapshots.restoring import Restored, drop_restored, restore
from steward.snapshots.stages import Stage
from steward.snapshots.taking import KEEP_OPEN_SECONDS, SnapshotTaken, every, take_snapshot
from steward.verdicts import Verdict
from tasks.durable import operation, step
from tasks.offsite_place import STAGED
from tasks.offsite_place import take_away as take_away_staged

#: Purposes of users in the settings. The first cannot write a document; the second can do nothing in production.
SNAPSHOT, RESTORE = "snapshot", "restore"
#: What a night makes on its way, as the ledger calls it.
POINT_IN_TIME, HALF_SNAPSHOT, COPIES, GLOBAL_STATE = "point in time", "half snapshot", "copies", "global state"
#: The flow whose runs prove some of a night's tenants each.
PROVE_TENANT = "prove-tenant"
PROVE = f"{PROVE_TENANT}/{PROVE_TENANT}"


@contextmanager
def production(policy: SnapshotPolicy) -> Generator[SearchClient]:
    """The cluster that is proved, as the user that cannot write a document."""
    with open_search(load(), policy.cluster, SNAPSHOT, before_write=guard) as client:
        yield client


@contextmanager
def scratch(policy: SnapshotPolicy) -> Generator[SearchClient]:
    """The cluster where restores happen, as the user that can do nothing in production."""
    with open_search(load(), policy.scratch_cluster, RESTORE, before_write=guard) as client:
        yield client


@step("begin attempt", run_name="begin {night}", key="{moment}")
def begin_attempt(policy: SnapshotPolicy, night: date, moment: int) -> Attempt:
    """A new attempt at *night*, for its first or second *moment*."""
    with connect(load()) as db:
        number = catalogue.next_attempt(db, policy.cluster, night)
    return Attempt(
        cluster=policy.cluster,
        night=night,
        attempt=number,
        moment=moment,
        snapshot=snapshot_name(night, operation().token, moment),
        started_at=datetime.now(UTC),
    )


@step("clear what dead nights left", key="{attempt.moment}", kind=Kind.ALWAYS)
def clear_dead_nights(policy: SnapshotPolicy, attempt: Attempt) -> None:
    """Remove what nights that ended for good had recorded as made; complete snapshots stay.

    Copies that had been removed are looked for again: a restore whose answer was not waited for any longer may have
    begun after that, and its aliases would be in the way of every later one.
    """
    _remove(policy, abandoned_effects(parts=PROVE_TENANT))
    with scratch(policy) as there:
        _drop_late_copies(there)


@step("clear what runs left", key="{attempt.moment}/{number}", kind=Kind.ALWAYS)
def clear_runs(policy: SnapshotPolicy, attempt: Attempt, number: int) -> None:
    """Remove what runs of prove-tenant left that could not clear up themselves: the next batch needs the disk."""
    _remove(policy, abandoned_effects(COPIES, parts=PROVE_TENANT))


def _drop_late_copies(there: SearchClient) -> list[str]:
    """Delete copies that had been removed and are there again; answers their names."""
    gone = tuple(each.effect_id for each in removed_effects(COPIES, parts=PROVE_TENANT))
    copies = capture.restored_indices(there, "proof-")
    return drop_restored(there, {name: uuid for name, uuid in copies.items() if name.startswith(gone)})


@step("clear up", run_name="clear up {attempt.snapshot}", key="{attempt.moment}", kind=Kind.ALWAYS)
def clear_attempt(policy: SnapshotPolicy, attempt: Attempt) -> None:
    """Remove all that the attempt made on its way: points in time, copies, the restored global state."""
    _remove(policy, [each for each in own_effects() if each.key.partition("/")[0] == str(attempt.moment)])


def _remove(policy: SnapshotPolicy, effects: Sequence[Effect]) -> None:
    """Remove *effects*, and forget each as it is gone."""
    by_kind = {kind: [each for each in effects if each.kind == kind] for kind in {each.kind for each in effects}}
    if by_kind.keys() & {POINT_IN_TIME, HALF_SNAPSHOT}:
        with production(policy) as source:
            points = by_kind.get(POINT_IN_TIME, [])
            close_points_in_time(source, [each.effect_id for each in points])
            forget_effects(points)
            for half in by_kind.get(HALF_SNAPSHOT, []):
                _abort(source, policy.repository, half.effect_id)
                forget_effects([half])
    if by_kind.keys() & {COPIES, STAGED, GLOBAL_STATE}:
        with scratch(policy) as there:
            for copies in by_kind.get(COPIES, []):
                # The prefix is that run's alone, and the scratch cluster holds nothing but copies.
                drop_restored(there, capture.restored_indices(there, copies.effect_id))
                forget_effects([copies])
            for staged in by_kind.get(STAGED, []):
                take_away_staged(there, staged.effect_id)
                forget_effects([staged])
            for state in by_kind.get(GLOBAL_STATE, []):
                take_away(there, Additions.model_validate(state.detail))
                forget_effects([state])


def _abort(source: SearchClient, repository: str, name: str) -> None:
    info = capture.snapshot_info(source, repository, name)
    if info and info["state"] == "IN_PROGRESS":
        capture.delete_snapshots(source, repository, [name])


@step("create snapshot", run_name="create {attempt.snapshot}", key="{attempt.moment}")
def create_snapshot(policy: SnapshotPolicy, attempt: Attempt, plan: Plan) -> SnapshotTaken:
    """Take the snapshot between two points in time on every shard, with the definitions before and after it.

    All of it or none: points in time that are opened late decide nothing. So a try that died is cleared, and the next
    takes a snapshot of another name; what the dead one took stays until the night is VERIFIED.
    """
    _remove(policy, dead_effects())
    name = snapshot_name(attempt.night, operation().token, attempt.moment, current_step().tries)
    indices = [index for batch in plan.batches for tenant in batch for index in tenant.indices]
    opened = noting(POINT_IN_TIME)
    with production(policy) as source, connect(load()) as db:
        catalogue.enter(db, attempt.model_copy(update={"snapshot": name}))
        before = capture.capture_definitions(source, policy.indices)
        catalogue.keep_expectations(db, policy.cluster, name, "before", before)
        # Last before the snapshot itself: what is written in between is what cannot always be decided.
        held = open_moment(source, indices, on_opened=opened)
        note_effects(HALF_SNAPSHOT, [name])
        taken = take_snapshot(
            source,
            policy.repository,
            name,
            [policy.indices],
            held,
            metadata={"steward": {"night": str(attempt.night), "attempt": attempt.attempt}},
            on_opened=opened,
        )
        after = capture.capture_definitions(source, policy.indices)
        catalogue.keep_expectations(db, policy.cluster, name, "after", after)
    forget_effects([each for each in dead_effects(HALF_SNAPSHOT) if each.effect_id == name])
    return taken


@step("check what the snapshot holds", key="{taken.name}")
def check_index_set(policy: SnapshotPolicy, taken: SnapshotTaken) -> Checked:
    """Findings on what the snapshot lacks or cannot show."""
    with connect(load()) as db:
        before, _ = catalogue.expectations(db, policy.cluster, taken.name)
    findings = compare_index_set(before, set(taken.indices)) + find_closed(before, policy.tenants)
    seconds = taken.ended_at - taken.started_at
    return Checked(stage=Stage(name="snapshot", seconds=seconds, bytes=taken.incremental_bytes), findings=findings)


@step("restore", run_name="restore {taken.name}", key="{attempt.moment}/{number}")
def restore_batch(
    policy: SnapshotPolicy, attempt: Attempt, taken: SnapshotTaken, number: int, batch: Sequence[TenantSize]
) -> Restored:
    """Restore one batch on the scratch cluster, under names of this run; points in time stay open however long it takes."""
    _remove(policy, dead_effects())
    indices = [index for tenant in batch for index in tenant.indices]
    prefix = restore_prefix(attempt.night, operation().token, attempt.moment, number)
    note_effects(COPIES, [prefix])
    with production(policy) as source, scratch(policy) as there:
        touch = every(KEEP_OPEN_SECONDS, lambda: keep_open(source, taken.before.joined(taken.moments)))
        while True:
            try:
                return restore(there, policy.repository, taken.name, indices, prefix, on_poll=touch)
            except SearchRefused:
                # The master may have begun a dead night's restore only now: its aliases are those that ours brings.
                if not _drop_late_copies(there):
                    raise


@step("drop restored", run_name="drop copies of {restored.snapshot}", key="{restored.prefix}")
def drop_batch(policy: SnapshotPolicy, restored: Restored) -> None:
    """Delete this batch's copies by their recorded identity, so that the next batch has the disk."""
    with scratch(policy) as there:
        drop_restored(there, restored.uuids)
    forget_effects([each for each in own_effects(COPIES) if each.effect_id == restored.prefix])


@step("find previous snapshot", key="{attempt.moment}")
def previous_snapshot_at(policy: SnapshotPolicy, attempt: Attempt) -> datetime | None:
    """When the newest VERIFIED snapshot before this night was taken; None: there is none."""
    with connect(load()) as db:
        past = catalogue.history(db, policy.cluster)
    taken = [each.taken_at for each in past if each.verdict is Verdict.VERIFIED and each.night < attempt.night]
    return max((at for at in taken if at), default=None)


@step("keep verdict", run_name="keep verdict of {report.snapshot}", key="{moment}", kind=Kind.CLOSING)
def keep_verdict(policy: SnapshotPolicy, moment: int, report: SnapshotReport) -> SnapshotReport:
    """Keep the report, with what may expire, before anything is deleted: from here a run only finishes what remains."""
    stamped = {"ended_at": datetime.now(UTC), "code": code_version().model_dump(), "host": host_class()}
    report = report.model_copy(update=stamped)
    if report.verdict is Verdict.VERIFIED:
        report = report.model_copy(update={"expired": _plan_expiry(policy, report)})
    with connect(load()) as db:
        fence(db)
        catalogue.keep_report(db, report)
    return report


def _plan_expiry(policy: SnapshotPolicy, report: SnapshotReport) -> dict[str, str]:
    with production(policy) as source, connect(load()) as db:
        known = capture.known_snapshots(source, policy.repository, catalogue.verdicts(db, policy.cluster))
    return plan_expiry(known, report.snapshot, report.verdict, datetime.now(UTC), policy.retention_days).delete


@step("expire snapshots", kind=Kind.CLOSING)
def expire_snapshots(policy: SnapshotPolicy, report: SnapshotReport) -> None:
    """Delete what the verdict's plan lets go: nothing, unless the night is VERIFIED."""
    if report.expired:
        with production(policy) as source:
            capture.delete_snapshots(source, policy.repository, report.expired)


@step("keep proofs", run_name="keep proofs of {report.night}", kind=Kind.CLOSING)
def keep_proofs(report: SnapshotReport) -> None:
    """Tenants that are VERIFIED have a new proof age."""
    with connect(load()) as db:
        fence(db)
        catalogue.keep_proofs(db, report)
