"""The off-site copy of a night: made, its locks renewed, and proved by a restore from the copy alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime

from steward.clients.blobs import open_blobs
from steward.clients.offsite_bucket import OffsiteBucket, open_offsite_bucket
from steward.clients.offsite_copying import copy_blobs, put_document
from steward.clients.offsite_fetching import Damaged, read_document
from steward.clients.offsite_proving import Proof, Target, distrusted
from steward.clients.offsite_proving import prove_copy as prove
from steward.clients.offsite_terms import CopyOutcome, CopyTerms
from steward.clients.postgres import connect
from steward.clients.s3 import ObjectMissing
from steward.clients.snapshot_blobs import copies_of, forget_copies, keep_copies, manifest_of
from steward.clients.staging import open_staging
from steward.operations.effects import dead_effects, forget_effects, note_effects, removed_effects
from steward.operations.fencing import fence
from steward.operations.holding import guard
from steward.repository.copying import Copied, root_of
from steward.repository.errors import ManifestUnreadable
from steward.repository.manifest import Manifest
from steward.settings import load
from steward.snapshots import capture, catalogue
from steward.snapshots.api import SearchApi
from steward.snapshots.checked import Attempt, Plan
from steward.snapshots.findings import Finding, refuted, unknown
from steward.snapshots.offsite_choice import choose_tenants, digests_of, within
from steward.snapshots.offsite_document import OffsiteDocument, Source, describe, version_numbers
from steward.snapshots.offsite_report import MOST_TOLD, OffsiteCopied, OffsiteProved
from steward.snapshots.planning import TenantSize
from steward.snapshots.policy import SnapshotPolicy
from steward.snapshots.restoring import drop_restored
from steward.snapshots.taking import SnapshotTaken
from steward.verdicts import Verdict
from tasks.durable import operation, step
from tasks.offsite_place import STAGED, take_away
from tasks.progress import progress_bar
from tasks.snapshots import COPIES, production, scratch

PROGRESS = "snapshot-progress"
_VERSION = "/_nodes/_all/info?filter_path=nodes.*.version"


@step("copy off site", run_name="copy {taken.name} off site", key="{attempt.moment}")
def copy_offsite(
    policy: SnapshotPolicy, attempt: Attempt, taken: SnapshotTaken, digests: dict[str, str]
) -> OffsiteCopied:
    """Bring all that the snapshot consists of into the locked bucket; what is there from older nights is locked for longer.

    Killed, it goes on where it was: copies are on record in groups, and the last of them are known by their bytes. The
    document that makes them a copy is written last. *digests*: what each index that was compared holds.
    """
    began, settings = time.monotonic(), load()
    with connect(settings) as db:
        manifest = manifest_of(db, policy.cluster, taken.name)
        known = copies_of(db, manifest.repository)
    terms = CopyTerms(
        root=root_of(policy.cluster, manifest.repository),
        today=datetime.now(UTC).date(),
        lock_days=policy.offsite_lock_days,
        mode=policy.offsite_mode,
    )
    with (
        open_blobs(settings, policy.repository) as blobs,
        open_offsite_bucket(settings, before_write=guard) as bucket,
    ):
        show = progress_bar(PROGRESS, f"copying {len(manifest.entries):,} blobs off site")
        outcome = copy_blobs(
            blobs, bucket, manifest, known, terms, tell=lambda group: _keep(manifest.repository, group), on_blob=show
        )
        copied = _copied(outcome, manifest)
        if outcome.manifest and outcome.catalogue:
            document = describe(_source(policy, attempt, taken, digests), outcome.catalogue, outcome.manifest)
            stored = put_document(bucket, document, terms)
            pinned = {
                "manifest_key": stored.key,
                "manifest_version": stored.version,
                "manifest_sha256": stored.sha256 or "",
            }
            copied = copied.model_copy(update=pinned)
            _forget(manifest.repository, outcome.manifest, known)
    return copied.model_copy(update={"seconds": round(time.monotonic() - began, 3)})


def _keep(repository_uuid: str, group: dict[str, Copied]) -> None:
    with connect(load()) as db:
        fence(db)
        keep_copies(db, repository_uuid, group)


def _forget(repository_uuid: str, needed: Manifest, known: Mapping[str, Copied]) -> None:
    """Copies that no snapshot needs any more: their lock has ended, and tonight's did not renew it."""
    now, paths = datetime.now(UTC), {entry.path for entry in needed.entries}
    over = [path for path, copied in known.items() if path not in paths and copied.locked_until < now]
    if over:
        with connect(load()) as db:
            fence(db)
            forget_copies(db, repository_uuid, over)


def _copied(outcome: CopyOutcome, asked: Manifest) -> OffsiteCopied:
    manifest = outcome.manifest or asked
    return OffsiteCopied(
        seconds=0,
        findings=_told(outcome.findings),
        findings_total=len(outcome.findings),
        repository_uuid=manifest.repository,
        generation=manifest.generation,
        entries=len(manifest.entries),
        entries_bytes=sum(entry.bytes for entry in manifest.entries),
        uploaded=outcome.uploaded,
        uploaded_bytes=outcome.uploaded_bytes,
        renewed=outcome.renewed,
        kept=outcome.kept,
        looked_at=outcome.looked_at,
        locked_until=outcome.locked_until,
    )


def _told(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: finding.verdict)[:MOST_TOLD])


def _source(policy: SnapshotPolicy, attempt: Attempt, taken: SnapshotTaken, digests: dict[str, str]) -> Source:
    with connect(load()) as db:
        before, _ = catalogue.expectations(db, policy.cluster, taken.name)
    with production(policy) as source:
        versions = [node["version"] for node in source.request("GET", _VERSION)["nodes"].values()]
    return Source(
        cluster=policy.cluster,
        repository=policy.repository,
        night=attempt.night,
        taken_at=datetime.fromtimestamp(taken.started_at, UTC),
        elasticsearch=max(versions, key=version_numbers),
        aliases={name: index.aliases.keys() for name, index in before.indices.items()},
        digests=digests,
    )


@step("prove the copy", run_name="restore {taken.name} from its copy", key="{attempt.moment}")
def prove_copy(  # noqa: PLR0917  in the order in which the night comes by them
    policy: SnapshotPolicy,
    attempt: Attempt,
    plan: Plan,
    taken: SnapshotTaken,
    copied: OffsiteCopied,
    digests: dict[str, str],
) -> OffsiteProved:
    """Restore tenants from the copy alone, and compare what they hold with what was compared with its source tonight.

    Those whose last proof from a copy is oldest, as far as the policy's disk goes. The primary repository is not read.
    What is fetched, registered and restored is noted before it is made, and removed at the end; a damaged copy is uploaded
    anew the next night.
    """
    began, settings = time.monotonic(), load()
    name = f"offsite-{attempt.night:%Y%m%d}-{operation().token}-{attempt.moment}"
    chosen = _choose(policy, plan, digests)
    with (
        scratch(policy) as there,
        open_offsite_bucket(settings) as bucket,
        open_staging(settings, name, before_write=guard) as place,
    ):
        _clear(there, keep=name)
        document = _document(bucket, copied, taken)
        if isinstance(document, Finding) or not chosen:
            nothing = unknown(
                "the off-site copy", "nothing was compared tonight that a copy of it could be compared with"
            )
            found = document if isinstance(document, Finding) else nothing
            return OffsiteProved(seconds=_since(began), findings=(found,), findings_total=1)
        prefix = f"proof-{attempt.night:%Y%m%d}-{operation().token}-{attempt.moment}-copy-"
        note_effects(STAGED, [name])
        note_effects(COPIES, [prefix])
        show = progress_bar(PROGRESS, f"fetching {len(chosen):,} tenants of {taken.name} from the copy")
        target = Target(there, name, prefix)
        proof = prove(bucket, document, place, target, digests_of(chosen, digests), on_blob=_guarded(show))
        _distrust(document.blobs.repository, proof.fetched.damaged)
        _clear(there)
    return _proved(proof, chosen, began)


def _choose(policy: SnapshotPolicy, plan: Plan, digests: dict[str, str]) -> list[TenantSize]:
    with connect(load()) as db:
        past = catalogue.history(db, policy.cluster)
    proved = dict[str, date]()
    for report in past:
        if report.copy_proved and report.copy_proved.verdict is Verdict.VERIFIED:
            for tenant in report.copy_proved.tenants:
                proved[tenant] = max(report.night, proved.get(tenant, date.min))
    planned = [tenant for batch in plan.batches for tenant in batch]
    return choose_tenants(within(planned, digests), proved, policy.copy_proof_bytes)


def _document(bucket: OffsiteBucket, copied: OffsiteCopied, taken: SnapshotTaken) -> OffsiteDocument | Finding:
    """As it lies in the bucket; a finding where it is not what was put there."""
    try:
        document = read_document(bucket, copied.manifest_key, copied.manifest_version, copied.manifest_sha256)
    except (ObjectMissing, ManifestUnreadable) as error:
        return refuted(copied.manifest_key, f"the document of the off-site copy: {error.message}")
    if document.blobs.snapshot_uuid != taken.uuid:
        fact = f"it is of snapshot {document.blobs.snapshot}, expected {taken.name}"
        return refuted(copied.manifest_key, f"the document of the off-site copy: {fact}")
    return document


def _clear(there: SearchApi, keep: str = "") -> None:
    """Remove what tries at this step have made; what this run itself fetched under the name *keep* is gone on with."""
    for copies in _made(COPIES):
        drop_restored(there, capture.restored_indices(there, copies))
    for name in _made(STAGED):
        if name != keep:
            take_away(there, name)
    forget_effects([each for each in dead_effects() if each.effect_id != keep])
    registered = capture.repositories(there)
    for late in removed_effects(STAGED):
        # A call of a dead run that came after all: what it registered is nobody's.
        if late.effect_id in registered and late.effect_id != keep:
            take_away(there, late.effect_id)


def _made(kind: str) -> list[str]:
    return [each.effect_id for each in dead_effects(kind)]


def _guarded(show: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """Progress, and an end of fetching once the operation is another's."""

    def on_blob(done: int, of: int) -> None:
        guard()
        show(done, of)

    return on_blob


def _distrust(repository_uuid: str, damaged: tuple[Damaged, ...]) -> None:
    if damaged:
        with connect(load()) as db:
            fence(db)
            keep_copies(db, repository_uuid, distrusted(copies_of(db, repository_uuid), damaged))


def _proved(proof: Proof, chosen: list[TenantSize], began: float) -> OffsiteProved:
    return OffsiteProved(
        seconds=_since(began),
        findings=_told(proof.findings),
        findings_total=len(proof.findings),
        tenants=tuple(each.tenant for each in chosen if all(index in proof.compared for index in each.indices)),
        indices=len(proof.compared),
        documents=sum(proof.compared.values()),
        fetched=proof.fetched.blobs,
        fetched_bytes=proof.fetched.bytes,
        rto_seconds=round(proof.rto_seconds, 3),
    )


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)
