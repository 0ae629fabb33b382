"""The steps of erasing a tenant: looked at, erased, acknowledged by readers, and proved."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event
from prefect.logging import get_run_logger

from steward.clients import erasures as listed
from steward.clients.backup_bucket import open_backup_bucket
from steward.clients.encrypted_snapshot import open_snapshot
from steward.clients.keyring import KeyringClient, open_keyring
from steward.clients.keyring_erasure import erased_tenants, other_tenants, remains, sample_rows
from steward.clients.keyring_errors import unknown
from steward.clients.keyvault_journal import open_journaled_vault
from steward.clients.postgres import application_database, connect, keyring_database
from steward.evidence.store import EvidenceRef, record
from steward.fieldcrypt.errors import KeyringTampered, KeysRefused, TenantErased
from steward.fieldcrypt.keyset import Generation
from steward.fieldcrypt.tenantkeys import TenantKeys
from steward.keys.backups import oldest, overdue
from steward.keys.backups_errors import RetentionNotEnforced
from steward.keys.calls import Note
from steward.keys.columns import EncryptedTable, load_columns
from steward.keys.erasure import Erased, Remains, complete_after
from steward.keys.erasure_errors import NothingToProveBy
from steward.keys.erasure_proof import Shredded, Tried, try_erased, try_rows
from steward.keys.erasure_report import (
    ErasureBegun,
    ErasureFacts,
    ErasureReport,
    Proof,
    Sampled,
    assess_erasure,
    render_erasure,
)
from steward.operations.fencing import fence
from steward.operations.holding import guard
from steward.operations.steps import Kind
from steward.settings import Settings, load
from tasks.durable import operation, step
from tasks.keyring_backups import required
from tasks.keyring_statements import erasure_statement, made_by

#: Rows of each table that are decrypted before and after, of the tenant and of others.
SAMPLE_ROWS = 200
#: Other tenants whose keys are all tried on values of the erased one.
LEFT_TENANTS = 100
_POLL_SECONDS = 1.0


@step("begin erasure")
def begin_erasure(tenant: str) -> ErasureBegun:
    """Whether it may be done at all. TenantUnknown, RetentionNotEnforced, NothingToProveBy; nothing is touched."""
    settings = load()
    keyring = required(settings)
    if not settings.applications:
        raise NothingToProveBy(
            "the settings name no application, so nothing could show that the tenant's values are gone",
            hint="add [applications.NAME] with its file of encrypted columns; see docs/settings.md",
        )
    found = _remains(settings, tenant)
    _require_retention(settings, found, keyring.backup_days)
    return ErasureBegun(started_at=datetime.now(UTC), retention_days=keyring.backup_days, remains=found)


def _remains(settings: Settings, tenant: str) -> Remains:
    with connect(keyring_database(required(settings), settings.vault)) as connection:
        found = remains(connection, tenant)
    if found is None:
        raise unknown(tenant)
    return found


def _require_retention(settings: Settings, found: Remains, days: int) -> None:
    with open_backup_bucket(settings) as bucket:
        versions = bucket.versions()
    if late := overdue(versions, found.seen_at, days):
        raise RetentionNotEnforced(
            f"{len(late)} backups of the keyring are older than {days} days, the oldest of {oldest(late)}",
            hint="run backup-keyring until it is VERIFIED: until old backups go, an erasure is never complete",
        )


@step("decrypt before", run_name="decrypt rows of {tenant} and of others")
def sample_before(tenant: str) -> Sampled:
    """A sample of the tenant's rows and of others', as they are while all keys are there. Counts only are kept."""
    settings = load()
    with _keys(settings, "decrypt a sample before an erasure") as (keys, _):
        own = tuple(_sampled(settings, keys, of=[tenant]))
        return Sampled(tenants_own=own, others=tuple(_sampled(settings, keys, but=_closed(settings, tenant))))


@step("list erasure", run_name="enter {tenant} in the list of erasures", kind=Kind.ALWAYS)
def list_erasure(tenant: str, reason: str) -> None:
    """Before the keys go, and outside the keyring: one that is restored after this is erased again."""
    with connect(load()) as db:
        fence(db)
        listed.note_erasure(db, tenant, reason, operation().id)


@step("erase keys", run_name="erase the keys of {tenant}")
def erase_keys(tenant: str, *, already: bool) -> Erased:
    """Delete every wrapped key of the tenant, for ever. Twice is the same as once."""
    settings = load()
    keyring = required(settings)
    with open_keyring(keyring, settings.vault) as ring:
        guard()
        epoch = ring.erase(tenant)
    at = _remains(settings, tenant).erased_at or datetime.now(UTC)
    until = complete_after(at, keyring.backup_days)
    with connect(settings) as db:
        fence(db)
        listed.note_erased(db, tenant, at, until)
    return Erased(epoch=epoch, erased_at=at, complete_after=until, already=already)


@step("await readers", run_name="wait until all have let go of {tenant}", kind=Kind.ALWAYS)
def await_readers(tenant: str, epoch: int, wait_seconds: float) -> tuple[str, ...]:
    """Processes that may still hold the tenant's keys in memory after *wait_seconds*: none is what is hoped for."""
    settings = load()
    give_up = time.monotonic() + wait_seconds
    with open_keyring(required(settings), settings.vault) as ring:
        while (lagging := ring.lagging(epoch)) and time.monotonic() < give_up:
            time.sleep(_POLL_SECONDS)
    return tuple(
        f"{each.host} pid {each.pid} (epoch {each.epoch}, heard of at {each.seen_at:%H:%M:%S} UTC)" for each in lagging
    )


@step("prove erased", run_name="prove that {tenant} is erased", kind=Kind.ALWAYS)
def prove_erased(tenant: str) -> Proof:
    """Every value of the tenant, with whatever key is left; and the others' sample again. Reads only."""
    settings = load()
    with _keys(settings, "prove an erasure") as (keys, ring):
        left = list(_left(settings, keys, tenant))
        found = _remains(settings, tenant)
        return Proof(
            remains=found,
            load_refused=_refuses(ring, tenant),
            shredded=tuple(_shredded(settings, keys, tenant, found, left)),
            others=tuple(_sampled(settings, keys, but=_closed(settings, tenant))),
        )


@step("conclude erasure", kind=Kind.CLOSING)
def conclude_erasure(tenant: str, reason: str, begun: ErasureBegun, facts: ErasureFacts) -> ErasureReport:
    """The run's verdict. Kept once, whatever a later attempt would measure."""
    verdict, findings = assess_erasure(facts)
    return ErasureReport(
        **{name: getattr(facts, name) for name in type(facts).model_fields},
        tenant=tenant,
        reason=reason,
        period=operation().period,
        attempt=operation().attempt,
        verdict=verdict,
        findings=findings,
        retention_days=begun.retention_days,
        started_at=begun.started_at,
        ended_at=datetime.now(UTC),
        made_by=made_by(load(), operation().id),
    )


@step("record evidence", run_name="record evidence of the erasure", kind=Kind.CLOSING)
def record_erasure_evidence(report: ErasureReport) -> EvidenceRef:
    """Sign the run's statement and keep it; the same report again changes nothing."""
    return record(load(), erasure_statement(report))


@step("show erasure", kind=Kind.CLOSING)
def show_erasure(report: ErasureReport) -> None:
    """Twice is harmless: artifacts are versions under one key."""
    if report.erased and report.erased.already:
        get_run_logger().info("tenant %s was erased already, at %s", report.tenant, report.erased.erased_at)
    create_markdown_artifact(
        render_erasure(report), key="tenant-erasure", description=f"{report.tenant}: {report.verdict}"
    )
    emit_event(
        event="steward.tenant.erased",
        resource={"prefect.resource.id": f"steward.tenant.{report.tenant}"},
        payload={
            "verdict": report.verdict,
            "complete_after": report.erased.complete_after.isoformat() if report.erased else None,
            "readers_lagging": len(report.lagging),
        },
    )


@contextmanager
def _keys(settings: Settings, purpose: str) -> Generator[tuple[TenantKeys, KeyringClient]]:
    """Tenants' keys for one step. Not announced as a reader: a step that is killed would then be waited for by the next."""
    keyring = required(settings)
    with (
        open_journaled_vault(settings, Note(purpose, operation().id)) as vault,
        open_keyring(keyring, settings.vault) as ring,
        TenantKeys(ring, vault) as keys,
    ):
        yield keys, ring


def _tables(settings: Settings) -> Iterator[tuple[str, EncryptedTable]]:
    for name, application in sorted(settings.applications.items()):
        for table in load_columns(application.encrypted).tables:
            yield name, table


def _sampled(
    settings: Settings, keys: TenantKeys, *, of: Sequence[str] | None = None, but: Sequence[str] = ()
) -> Iterator[Tried]:
    for name, table in _tables(settings):
        rows = sample_rows(application_database(settings, name), table, SAMPLE_ROWS, of=of, but=but)
        yield try_rows(keys, name, table, rows)


def _closed(settings: Settings, tenant: str) -> list[str]:
    """Whose rows say nothing of others: this tenant's, and those of tenants that were erased before."""
    with connect(keyring_database(required(settings), settings.vault)) as connection:
        return sorted({tenant, *erased_tenants(connection)})


def _shredded(
    settings: Settings, keys: TenantKeys, tenant: str, found: Remains, left: Sequence[Generation]
) -> Iterator[Shredded]:
    ids = set(found.key_ids)
    for name, table in _tables(settings):
        with open_snapshot(application_database(settings, name)) as rows:
            yield try_erased(keys, name, table, rows.all(table, [tenant]), erased_ids=ids, left=left)


def _left(settings: Settings, keys: TenantKeys, tenant: str) -> Iterator[Generation]:
    """Keys that are left, of other tenants; those that are themselves refused cannot open anything."""
    with connect(keyring_database(required(settings), settings.vault)) as connection:
        names = other_tenants(connection, tenant, LEFT_TENANTS)
    for name in names:
        try:
            yield from keys.of(name).reading.values()
        except (KeysRefused, KeyringTampered, TenantErased):
            continue


def _refuses(ring: KeyringClient, tenant: str) -> bool:
    try:
        ring.load(tenant)
    except TenantErased:
        return True
    return False
