"""The steps of restoring from the copy off site, once a person has said yes: fetch, restore, compare, open, clear."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event
from prefect.logging import get_run_logger

from steward.clients.elasticsearch import SearchClient
from steward.clients.offsite_bucket import open_offsite_bucket
from steward.clients.offsite_fetching import Damaged, fetch, read_document
from steward.clients.staging import open_staging
from steward.errors import StewardError
from steward.evidence.provenance import code_version, host_class
from steward.evidence.store import EvidenceRef, record
from steward.operations.effects import Effect, abandoned_effects, forget_effects, note_effects, own_effects
from steward.operations.holding import guard
from steward.operations.steps import Kind
from steward.settings import Settings, load
from steward.snapshots import capture, recovery
from steward.snapshots.findings import Finding, refuted
from steward.snapshots.offsite_restoring import content_digests, register, unregister
from steward.snapshots.recovery_page import render_recovery
from steward.snapshots.recovery_plan import PlannedIndex, RecoveryPlan, check_free, check_room
from steward.snapshots.recovery_report import (
    Begun,
    Compared,
    FetchedBlobs,
    Opened,
    RecoveryFacts,
    RecoveryReport,
    make_report,
)
from tasks.durable import operation, step
from tasks.progress import progress_bar
from tasks.recovery_planning import CLOSED, PLACE, left_closed, names_there, target, uuid_of
from tasks.recovery_statement import recovery_statement

#: Indices that are read side by side: many are small.
AT_A_TIME = 20


@step("begin recovery", run_name="begin: approved by {by}")
def begin_recovery(plan: RecoveryPlan, by: str, remark: str) -> Begun:
    """Look again, since thinking takes time; remove what the plan says, and what recoveries that ended left."""
    settings, at = load(), datetime.now(UTC)
    _clear_abandoned(settings)
    with target(settings, plan.into) as there:
        recovery.drop_closed(there, plan.leftovers)
        _forget_opened(there, plan.into)
        check_free(plan.indices, plan.names, names_there(there, plan.indices), recovery.aliases_of(there))
        check_room(f"cluster {plan.into}", capture.disks(there), plan.bytes)
    return Begun(at=at, by=by, remark=remark)


@step("fetch", run_name="fetch {plan.snapshot}")
def fetch_blobs(plan: RecoveryPlan) -> FetchedBlobs:
    """Every blob that the restore reads, by its version, its SHA-256 compared; what a try that died had is kept."""
    note_effects(PLACE, [plan.place], {"into": plan.into})
    show = progress_bar("restore-from-offsite-fetch", f"fetching {plan.bytes:,} bytes")

    def on_blob(done: int, of: int) -> None:
        guard()
        show(done, of)

    settings, wanted = load(), [each.name for each in plan.indices]
    with open_offsite_bucket(settings) as bucket, open_staging(settings, plan.place, guard) as place:
        document = read_document(bucket, plan.manifest_key, plan.manifest_version)
        fetched = fetch(bucket, document, place, wanted, on_blob=on_blob)
    return FetchedBlobs(
        blobs=fetched.blobs,
        bytes=fetched.bytes,
        seconds=fetched.seconds,
        damaged=[_finding(each) for each in fetched.damaged],
        lost=sorted({each.index for each in fetched.damaged if each.index}),
    )


def _finding(damaged: Damaged) -> Finding:
    subject = f"{damaged.index}[{damaged.path}]" if damaged.index else damaged.path
    return refuted(subject, f"its copy off site, version {damaged.version}: {damaged.fact}")


@step("restore", run_name="restore {plan.snapshot} into {plan.into}")
def restore_indices(plan: RecoveryPlan, fetched: FetchedBlobs) -> recovery.RecoveredIndices:
    """From what was fetched, under the planned names, closed to writers; a restore under way is gone on with."""
    began, settings = time.monotonic(), load()
    wanted = [each for each in plan.indices if each.name not in fetched.lost]
    if not wanted:
        return recovery.RecoveredIndices(uuids={}, seconds=0, bytes=0)
    show = progress_bar("restore-from-offsite-restore", f"restoring {len(wanted):,} indices")
    with target(settings, plan.into) as there:
        with open_staging(settings, plan.place, guard) as place:
            register(there, plan.place, place.repository())
        note_effects(CLOSED, [each.target for each in wanted], {"into": plan.into})
        uuids = recovery.begin_restore(there, plan.place, plan.snapshot, wanted, plan.names)
        for name, uuid in uuids.items():
            note_effects(CLOSED, [name], {"into": plan.into, "uuid": uuid})
        failed = recovery.await_restore(there, wanted, on_poll=show)
        return recovery.RecoveredIndices(
            uuids=uuids, failed=failed, seconds=time.monotonic() - began, bytes=recovery.stored_bytes(there, uuids)
        )


@step("compare", run_name="compare {plan.snapshot} with what its night found")
def compare_recovered(plan: RecoveryPlan, indices: Sequence[PlannedIndex]) -> Compared:
    """Every document of what was restored, as one digest an index, and its aliases. Nobody can write there yet."""
    began, digests = time.monotonic(), dict[str, str]()
    show = progress_bar("restore-from-offsite-compare", f"reading {len(indices):,} indices")
    with target(load(), plan.into) as there:
        for first in range(0, len(indices), AT_A_TIME):
            some = indices[first : first + AT_A_TIME]
            prefix = some[0].target.removesuffix(some[0].name)
            digests |= content_digests(there, prefix, [each.name for each in some])
            show(first + len(some), len(indices))
        aliases = recovery.aliases_of(there)
    by_index = {each.name: [alias for alias, of in aliases.items() if each.target in of] for each in indices}
    return Compared(digests=digests, aliases=by_index, seconds=time.monotonic() - began)


@step("open", run_name="let writers at {plan.into}")
def open_recovered(plan: RecoveryPlan, uuids: dict[str, str]) -> Opened:
    """Let writers at *uuids*, if they still are the ones restored. From here on they are the tenants' own."""
    with target(load(), plan.into) as there:
        names = recovery.open_indices(there, uuids)
    at = datetime.now(UTC)
    forget_effects([each for each in own_effects(CLOSED) if each.effect_id in uuids])
    return Opened(names=names, at=at)


@step("conclude", kind=Kind.CLOSING)
def conclude_recovery(plan: RecoveryPlan, because: str, facts: RecoveryFacts) -> RecoveryReport:
    """The verdict. Kept once, before what was fetched is removed."""
    return make_report(
        plan,
        because,
        facts,
        period=operation().period,
        attempt=operation().attempt,
        ended_at=datetime.now(UTC),
        code=code_version().model_dump(),
        host=host_class(),
    )


@step("record evidence", run_name="record evidence of the recovery", kind=Kind.CLOSING)
def record_recovery_evidence(report: RecoveryReport) -> EvidenceRef:
    """Sign the run's statement and keep it; the same report again changes nothing."""
    return record(load(), recovery_statement(report))


@step("show recovery", kind=Kind.CLOSING)
def show_recovery(report: RecoveryReport) -> None:
    """A page for people, an event for machines. Twice is harmless."""
    create_markdown_artifact(
        render_recovery(report),
        key="restore-from-offsite",
        description=f"{report.snapshot} into {report.into}: {report.verdict}",
    )
    emit_event(
        event=f"steward.recovery.{report.verdict.lower()}",
        resource={"prefect.resource.id": f"steward.recovery.{report.into}"},
        payload={
            "snapshot": report.snapshot,
            "into": report.into,
            "verdict": report.verdict,
            "indices": len(report.indices),
            "opened": len(report.opened),
            "documents": report.documents,
            "rto_seconds": report.rto_seconds,
        },
    )


@step("clear what was fetched", kind=Kind.ALWAYS)
def clear_recovery() -> None:
    """Forget the repository, and remove what was fetched for it. What was restored stays."""
    settings = load()
    for place in own_effects(PLACE):
        _remove_place(settings, place)


def _clear_abandoned(settings: Settings) -> None:
    """What recoveries that ended left behind. The cluster that one restored into may be gone: that keeps nobody waiting."""
    for left in abandoned_effects(PLACE):
        try:
            _remove_place(settings, left)
        except StewardError as error:
            get_run_logger().warning("%s is not cleared: %s", left.effect_id, error)


def _remove_place(settings: Settings, place: Effect) -> None:
    with target(settings, place.detail["into"]) as there:
        unregister(there, place.effect_id)
    with open_staging(settings, place.effect_id, guard) as staged:
        staged.clear()
    forget_effects([place])


def _forget_opened(there: SearchClient, into: str) -> None:
    """What recoveries that ended restored, and somebody has opened or deleted since, is not theirs any more."""
    left = left_closed(into)
    closed = recovery.closed_now(there, {each.effect_id for each in left})
    forget_effects([each for each in left if closed.get(each.effect_id) != uuid_of(each)])
