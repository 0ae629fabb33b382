"""What a recovery is planned by: the copy, the cluster it goes to, and what is in the way there. Reads only."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from prefect.artifacts import create_markdown_artifact

from steward.clients.elasticsearch import SearchClient, open_search
from steward.clients.offsite_bucket import open_offsite_bucket
from steward.clients.offsite_copies import StoredVersion
from steward.clients.offsite_fetching import documents, read_document
from steward.clients.postgres import connect
from steward.clients.staging import check_staging
from steward.errors import BadInput
from steward.operations.effects import Effect, abandoned_effects
from steward.operations.holding import guard
from steward.repository.copying import ManifestName
from steward.settings import Settings, load
from steward.snapshots import capture, catalogue, recovery
from steward.snapshots.recovery_choice import Chosen, ListedCopy, choose
from steward.snapshots.recovery_page import render_plan
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
from steward.snapshots.recovery_request import RecoveryRequest
from steward.snapshots.restoring import index_uuids
from tasks.durable import operation, step

#: Purposes of users in the settings: who is lent the role for it, and who restores on the scratch cluster anyway.
RECOVER, RESTORE = "recover", "restore"
#: What a recovery makes on its way, as the ledger calls it: a staging folder with its repository, and closed indices.
PLACE, CLOSED = "recovery place", "closed index"


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
    return {each.effect_id: uuid_of(each) for each in left_closed(into) if closed.get(each.effect_id) == uuid_of(each)}


def left_closed(into: str) -> list[Effect]:
    """What recoveries that ended restored into *into*, and did not open."""
    return [each for each in abandoned_effects(CLOSED) if each.detail["into"] == into]


def uuid_of(closed: Effect) -> str:
    """Of the index; empty where its recovery died before it could know."""
    return str(closed.detail.get("uuid", ""))


def _check_free(
    there: SearchClient, request: RecoveryRequest, indices: Sequence[PlannedIndex], leftovers: dict[str, str]
) -> None:
    held = names_there(there, indices) - leftovers.keys()
    aliases = {
        alias: others
        for alias, of in recovery.aliases_of(there).items()
        if (others := [index for index in of if index not in leftovers])
    }
    check_free(indices, request.names, held, aliases)


def names_there(there: SearchClient, indices: Sequence[PlannedIndex]) -> set[str]:
    """Of the names that *indices* would take, aliases among them, those that an index has, open or closed."""
    return set(index_uuids(there, {name for each in indices for name in (each.target, *each.aliases)}))
