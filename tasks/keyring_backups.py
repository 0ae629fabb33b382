"""The steps of a backup of the keyring: taken, read back, pruned, and told."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime

from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event

from steward.clients import erasures as listed
from steward.clients.backup_bucket import open_backup_bucket
from steward.clients.keyring_backups import Dumped, SampledWrap, dump, into_scratch
from steward.clients.keyring_erasure import erased_tenants
from steward.clients.keyvault_errors import VaultKeyDisabled, VaultMissing
from steward.clients.keyvault_journal import JournaledVault, open_journaled_vault
from steward.clients.postgres import connect, keyring_database
from steward.clients.s3 import ObjectMissing
from steward.errors import BadInput
from steward.evidence.store import EvidenceRef, record
from steward.fieldcrypt.errors import KeyringTampered
from steward.fieldcrypt.masterkey import open_sealed
from steward.keys.backups import AHEAD, Backup, Pruned, StoredVersion, completed, key_of, oldest, overdue, plan_pruning
from steward.keys.backups_errors import BackupUnreadable
from steward.keys.backups_report import (
    BackupBegun,
    BackupChecked,
    BackupFacts,
    BackupReport,
    Erasures,
    Outstanding,
    assess_backup,
    judge,
    render_backup,
)
from steward.keys.calls import Note
from steward.keys.erasure import complete_after
from steward.operations.fencing import fence
from steward.operations.holding import guard
from steward.operations.steps import Kind, current_step
from steward.settings import Keyring, Settings, load
from steward.verdicts import Verdict
from tasks.durable import operation, step
from tasks.keyring_statements import backup_statement, made_by

#: Keys of a backup that the vault unwraps: a wrong key or a lost version of the vault's shows in any of them.
SAMPLE = 20
_FOUND = "found erased in the keyring"


@step("check place for backups")
def begin_backup() -> BackupBegun:
    """Refused before anything is read: no keyring, no bucket, or one that would not let go of what is in it."""
    settings = load()
    days = required(settings).backup_days
    with open_backup_bucket(settings):
        return BackupBegun(started_at=datetime.now(UTC), retention_days=days)


def find_backup() -> Backup | None:
    """What an earlier try at this operation has stored, and nobody has judged yet."""
    settings = load()
    with connect(settings) as db:
        mine = listed.backups(db, operation().id)
    with open_backup_bucket(settings) as bucket:
        return next((each for each in mine if each.verdict is None and bucket.has(each.key)), None)


@step("take backup", find=find_backup)
def take_backup() -> Backup:
    """All tables of the keyring at one moment, as one object. It is registered first: what is not may hold anybody."""
    settings = load()
    dumped = dump(keyring_database(required(settings), settings.vault))
    backup = _described(dumped)
    with connect(settings) as db:
        fence(db)
        listed.register(db, backup, operation().id)
    with open_backup_bucket(settings, before_write=guard) as bucket:
        bucket.put_once(backup.key, dumped.body)
    return backup


def _described(dumped: Dumped) -> Backup:
    header = dumped.header
    return Backup(
        key=key_of(header.taken_at, operation().token, current_step().tries),
        taken_at=header.taken_at,
        epoch=header.epoch,
        sha256=hashlib.sha256(dumped.body).hexdigest(),
        bytes=len(dumped.body),
        rows={part.name: part.rows for part in header.tables},
        erased=dumped.erased,
    )


@step("read backup back", run_name="read back {backup.key}")
def verify_backup(backup: Backup) -> BackupChecked:
    """Read the object, load it into a scratch, compare, and let the vault unwrap some of its keys."""
    settings = load()
    try:
        with open_backup_bucket(settings) as bucket:
            body = bucket.get(backup.key)
        if hashlib.sha256(body).hexdigest() != backup.sha256:
            return BackupChecked(findings=(f"{backup.key} is not what was stored: its SHA-256 is another",))
        scratched = into_scratch(keyring_database(required(settings), settings.vault), body, SAMPLE)
    except (ObjectMissing, BackupUnreadable) as error:
        return BackupChecked(findings=(error.message,))
    with open_journaled_vault(settings, Note("verify a backup of the keyring", operation().id)) as vault:
        findings = _refusals(vault, scratched.sample)
    return BackupChecked(
        living=scratched.living,
        unwrapped=len(scratched.sample) - len(findings),
        findings=(*scratched.findings, *findings),
    )


def _refusals(vault: JournaledVault, sample: Iterable[SampledWrap]) -> list[str]:
    """What keeps sampled keys from being used again; a vault that is away or forbids it says nothing of them."""
    found = list[str]()
    for each in sample:
        try:
            key = open_sealed(each.tenant, each.key_id, vault.unwrap(each.wrap.kek, each.wrap.wrapped))
            key[:] = bytes(len(key))
        except (KeyringTampered, VaultMissing, VaultKeyDisabled) as error:
            found.append(f"key {each.key_id} of the backup does not open: {error.message}")
    return found


@step("keep backup's verdict", run_name="keep verdict on {backup.key}")
def keep_backup_verdict(backup: Backup, checked: BackupChecked) -> Verdict:
    """In the register, where the pruning looks for the newest good one."""
    verdict, _ = judge(checked)
    with connect(load()) as db:
        fence(db)
        listed.judge_backup(db, backup.key, verdict)
    return verdict


@step("prune backups")
def prune_backups(backup: Backup) -> Pruned:
    """Delete every version that would outlive the retention, and look whether any is left that does.

    By *backup*'s own moment: the keyring's clock has dated the others too, and this machine's may be wrong.
    """
    settings = load()
    days, now = required(settings).backup_days, backup.taken_at
    with connect(settings) as db:
        known = listed.backups(db)
    keep = {backup.key, *[each.key for each in known if each.verdict is Verdict.VERIFIED][:1]}
    with open_backup_bucket(settings, before_write=guard) as bucket:
        gone = plan_pruning(bucket.versions(), now, days, keep)
        for version in gone:
            bucket.delete(version)
        left = bucket.versions()
    _note_pruned(settings, known, left, backup, days)
    return Pruned(
        deleted=tuple(gone),
        remaining=len(left),
        oldest=oldest(left),
        overdue=tuple(each.key for each in overdue(left, now, days)),
    )


def _note_pruned(
    settings: Settings, known: Iterable[Backup], left: Iterable[StoredVersion], backup: Backup, days: int
) -> None:
    # Only those that are due: one that is missing and younger may be on its way yet.
    there, due = {each.key for each in left}, complete_after(backup.taken_at, -days) + AHEAD
    with connect(settings) as db:
        fence(db)
        listed.note_pruned(db, [each.key for each in known if each.key not in there and each.taken_at < due])


@step("settle erasures")
def settle_erasures(backup: Backup) -> Erasures:
    """Who is erased in every backup that is left; and whom the keyring has erased without Steward's list knowing."""
    settings = load()
    keyring = required(settings)
    with connect(keyring_database(keyring, settings.vault)) as there:
        gone = erased_tenants(there)
    with open_backup_bucket(settings) as bucket:
        versions = bucket.versions()
    with connect(settings) as db:
        fence(db)
        for tenant, at in gone.items():
            listed.note_erasure(db, tenant, _FOUND, None)
            listed.note_erased(db, tenant, at, complete_after(at, keyring.backup_days))
        waiting = [each for each in listed.erasures(db) if each.erased_at and not each.completed_at]
        register = {each.key: each for each in listed.backups(db)}
        done = completed([each.tenant for each in waiting], versions, register)
        listed.note_complete(db, done, operation().id)
        return Erasures(
            completed=listed.completed_by(db, operation().id),
            outstanding=tuple(
                Outstanding(tenant=each.tenant, complete_after=each.complete_after)
                for each in waiting
                if each.tenant not in done
            ),
        )


@step("conclude backup", kind=Kind.CLOSING)
def conclude_backup(begun: BackupBegun, facts: BackupFacts) -> BackupReport:
    """The run's verdict. Kept once, whatever a later attempt would measure."""
    verdict, findings = assess_backup(facts, begun.retention_days)
    return BackupReport(
        **{name: getattr(facts, name) for name in type(facts).model_fields},
        **begun.model_dump(),
        period=operation().period,
        attempt=operation().attempt,
        verdict=verdict,
        findings=findings,
        ended_at=datetime.now(UTC),
        made_by=made_by(load(), operation().id),
    )


@step("record evidence", run_name="record evidence of the backup", kind=Kind.CLOSING)
def record_backup_evidence(report: BackupReport) -> EvidenceRef:
    """Sign the run's statement and keep it; the same report again changes nothing."""
    return record(load(), backup_statement(report))


@step("show backup", kind=Kind.CLOSING)
def show_backup(report: BackupReport) -> None:
    """Twice is harmless: artifacts are versions under one key."""
    create_markdown_artifact(render_backup(report), key="keyring-backup", description=f"Keyring: {report.verdict}")
    emit_event(
        event="steward.keyring.backed_up",
        resource={"prefect.resource.id": "steward.keyring"},
        payload={
            "period": report.period,
            "verdict": report.verdict,
            "versions_deleted": len(report.pruned.deleted),
            "versions_left": report.pruned.remaining,
            "erasures_completed": list(report.erasures.completed),
        },
    )


def required(settings: Settings) -> Keyring:
    """The keyring of *settings*. BadInput where there is none."""
    if settings.keyring is None or settings.vault is None:
        raise BadInput(
            "the settings name no keyring, or no vault", hint="add [keyring] and [vault]; see docs/keyring.md"
        )
    return settings.keyring
