"""The steps of restoring from the copy off site: looked for, fetched, restored, compared, opened, cleared."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event

from steward.clients.elasticsearch import SearchClient, open_search
from steward.clients.offsite_bucket import open_offsite_bucket
from steward.clients.offsite_copies import StoredVersion
from steward.clients.offsite_fetching import Damaged, documents, fetch, read_document
from steward.clients.postgres import connect
from steward.clients.staging import check_staging, open_staging
from steward.errors import BadInput
from steward.evidence.provenance import code_version, host_class
from steward.evidence.store import EvidenceRef, record
from steward.operations.effects import Effect, abandoned_effects, forget_effects, note_effects, own_effects
from steward.operations.holding import guard
from steward.operations.steps import Kind
from steward.repository.copying import ManifestName
from steward.settings import Settings, load
from steward.snapshots import capture, catalogue, recovery
from steward.snapshots.findings import Finding, refuted
from steward.snapshots.offsite_restoring import content_digests, register, unregister
from steward.snapshots.recovery_choice import Chosen, ListedCopy, choose
from steward.snapshots.recovery_page import render_plan, render_recovery
from steward.snapshots.recovery_plan import (
    PlannedIndex,
    RecoveryPlan,
    check_free,
    check_names,
    check_room,
    check_version,
    made_plan,
    plan_indices,
)
from steward.snapshots.recovery_report import (
    Begun,
    Compared,
    FetchedBlobs,
    Opened,
    RecoveryFacts,
    RecoveryReport,
    make_report,
)
from steward.snapshots.recovery_request import RecoveryRequest
from steward.snapshots.restoring import index_uuids
from tasks.durable import operation, step
from tasks.progress import progress_bar
from tasks.recovery_statement import recovery_statement

#: Purposes of users in the settings: who is lent the role for it, and who restores on the scratch cluster anyway.
RECOVER, RESTORE = "recover", "restore"
#: What a recovery makes on its way, as the ledger calls it: a staging folder with its repository, and closed indices.
PLACE, CLOSED = "recovery place", "closed index"
#: Indices that are read side by side: many are small.
AT_A_TIME = 20


@contextmanager
def target(settings: Settings, cluster: str) -> Generator[SearchClient]:
    """The cluster that is restored into. BadInput: it has no user who could."""
    with open_search(settings, cluster, _purpose(settings, cluster), before_write=guard) as client:
        yield client


def _purpose(settings: Settings, cluster: str) -> str:
    users = settings.cluster(cluster).users
    for purpose in (RECOVER, RESTORE):
        if purpose in users:
            return purpose
    raise BadInput(
        f"cluster {cluster} has no user for {RECOVER!r} in the settings; known: {', '.join(sorted(users))}",
        hint=f"add [search.{cluster}.users.{RECOVER}]; docs/runbooks/restore-from-offsite.md says of what role",
    )


@step("plan recovery", run_name="plan the recovery of {request.cluster}")
def plan_recovery(request: RecoveryRequest) -> RecoveryPlan:
    """Which copy, which indices, under which names, how much. Whatever could stop it halfway stops it here; reads only."""
    settings, began = load(), datetime.now(UTC)
    check_names(request.target, request.names, proves_nights=_purpose(settings, request.target) == RESTORE)
    with target(settings, request.target) as there:
        chosen = _choose(settings, request)
        indices = plan_indices(request, chosen.document, operation().token)
        recovery.check_rights(there, request.target, [each.target for each in indices])
        check_version(chosen.document.blobs.snapshot, chosen.document.elasticsearch, recovery.versions(there))
        leftovers = _leftovers(there, request.target, indices)
        _check_free(there, request, indices, leftovers)
        disks, needed = capture.disks(there), sum(each.bytes for each in indices)
    check_room(f"cluster {request.target}", disks, needed)
    check_staging(settings, needed)
    return made_plan(
        request,
        chosen,
        operation().token,
        nodes=len(disks),
        leftovers=leftovers,
        began_at=began,
        ended_at=datetime.now(UTC),
    )


def _choose(settings: Settings, request: RecoveryRequest) -> Chosen:
    with open_offsite_bucket(settings) as bucket, connect(settings) as db:
        named = [
            ListedCopy(name.night, name.snapshot_uuid, name.root, stored.key, stored.version)
            for name, stored in _oldest_versions(documents(bucket, request.cluster))
        ]
        return choose(
            request,
            named,
            lambda copy: read_document(bucket, copy.key, copy.version),
            catalogue.verdicts(db, request.cluster),
        )


@step("show plan", run_name="show the plan")
def show_plan(plan: RecoveryPlan, because: str) -> None:
    """For whoever is asked. Twice is harmless: artifacts are versions under one key."""
    create_markdown_artifact(
        render_plan(plan, because), key="restore-from-offsite-plan", description=f"{plan.snapshot} into {plan.into}"
    )


@step("begin recovery", run_name="begin: approved by {by}")
def begin_recovery(plan: RecoveryPlan, by: str, remark: str) -> Begun:
    """Look again, since thinking takes time; remove what the plan says, and what recoveries that ended left."""
    settings, at = load(), datetime.now(UTC)
    for left in abandoned_effects(PLACE):
        _remove_place(settings, left)
    with target(settings, plan.into) as there:
        recovery.drop_closed(there, plan.leftovers)
        _forget_opened(there, plan.into)
        check_free(plan.indices, plan.names, _there(there, plan.indices), recovery.aliases_of(there))
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


def _remove_place(settings: Settings, place: Effect) -> None:
    with target(settings, place.detail["into"]) as there:
        unregister(there, place.effect_id)
    with open_staging(settings, place.effect_id, guard) as staged:
        staged.clear()
    forget_effects([place])


def _oldest_versions(found: Sequence[tuple[ManifestName, StoredVersion]]) -> list[tuple[ManifestName, StoredVersion]]:
    """Of each document what was written first, whatever somebody put over it since; in the order of *found*."""
    oldest: dict[str, tuple[ManifestName, StoredVersion]] = {}
    for name, stored in found:
        held = oldest.get(stored.key)
        if held is None or stored.written_at <= held[1].written_at:
            oldest[stored.key] = (name, stored)
    return list(oldest.values())


def _leftovers(there: SearchClient, into: str, indices: Sequence[PlannedIndex]) -> dict[str, str]:
    """Of the wanted names those that a recovery that ended restored, and nobody has opened since."""
    closed = recovery.closed_now(there, [each.target for each in indices])
    return {each.effect_id: _uuid(each) for each in _left(into) if closed.get(each.effect_id) == _uuid(each)}


def _forget_opened(there: SearchClient, into: str) -> None:
    """What recoveries that ended restored, and somebody has opened or deleted since, is not theirs any more."""
    left = _left(into)
    closed = recovery.closed_now(there, {each.effect_id for each in left})
    forget_effects([each for each in left if closed.get(each.effect_id) != _uuid(each)])


def _left(into: str) -> list[Effect]:
    return [each for each in abandoned_effects(CLOSED) if each.detail["into"] == into]


def _uuid(closed: Effect) -> str:
    """Of the index; empty where its recovery died before it could know."""
    return str(closed.detail.get("uuid", ""))


def _check_free(
    there: SearchClient, request: RecoveryRequest, indices: Sequence[PlannedIndex], leftovers: dict[str, str]
) -> None:
    held = _there(there, indices) - leftovers.keys()
    aliases = {
        alias: others
        for alias, of in recovery.aliases_of(there).items()
        if (others := [index for index in of if index not in leftovers])
    }
    check_free(indices, request.names, held, aliases)


def _there(there: SearchClient, indices: Sequence[PlannedIndex]) -> set[str]:
    return set(index_uuids(there, {name for each in indices for name in (each.target, *each.aliases)}))
